"""Seeded synthetic data sets in the formats the hosts read."""
