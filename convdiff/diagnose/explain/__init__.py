"""Equivalents of a finding, and the arrays that would tell it from its rivals."""
