"""How the synthetic people, scenes, boxes and membranes are drawn."""
