"""diagnose/hypotheses."""
