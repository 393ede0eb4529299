"""diagnose/explain."""
