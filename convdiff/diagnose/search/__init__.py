"""diagnose/search."""
