"""Benchmarks: each compares convdiff with the work that its user would do anyway, in one run.

`run` runs them, `timing` measures. Every module has a function `measure`, which returns one line or
several for people to read. A line has both times and their ratio, since times alone differ from
machine to machine; where there is a limit for the ratio, the line names it.
"""
