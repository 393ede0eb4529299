"""diagnose/fit."""
