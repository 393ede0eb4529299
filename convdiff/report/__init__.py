"""Reports: a `Report` (one run) or a `Suite` (of `convdiff check`) as text.

This is the only place where findings become text for people.  One module per format:

    run_report      a run as a table for people, also while its rows are still coming
    suite_report    a suite as a table, and its failing cases in full
    json_report     JSON, whose schema is schema.json
    junit_report    JUnit XML, for CI servers
    github_report   workflow commands and a job summary, for GitHub Actions
    html_report     one HTML page without scripts; html_pictures draws its maps and charts

What they share:

    run_words, suite_words     the wording: a convolution, conclusions, exit codes, a case's summary
    number_format, escape      numbers as short text; text from outside made harmless
    run_table, row_details, block_map
                               the parts of a run's report: figures, findings, a map
    page, palette, highlight   laying out text in lines, its colors and symbols, colored Python code

A format is a function from a report or a suite to a string; it reads the records and never takes
the text of another format apart.  Every text from outside (names, messages, code) passes through
`escape.printable`, so that it cannot control a terminal or a page.
"""
