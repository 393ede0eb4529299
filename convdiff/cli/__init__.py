"""The command line: click's arguments to a `pipeline.Request`, and the exit code.  No rich, no
numpy before a command runs.
"""
