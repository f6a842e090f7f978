"""What the analysis tools compute."""
