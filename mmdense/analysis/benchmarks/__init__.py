"""What operators, networks and training steps cost."""
