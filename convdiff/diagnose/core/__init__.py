"""diagnose/core."""
