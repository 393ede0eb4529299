"""A report takes a `case.Report` and gives text; one format a file."""
