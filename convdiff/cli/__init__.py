"""The command line, with click: arguments to a request, the result to the terminal, an exit code.

    main           the group of commands, and what errors look like; `main()` returns the exit code
    run, check, capture, code, probe, backends, explain
                   one command each, as the variable `command`; the module is named after it
    options        the options that several commands share: the convolution, layouts, --color
    report_files   --format, --json, --junit, --html: the files that reports are written to
    run_view       shows a run on stdout: as a table that fills up, or as JSON or GitHub commands
    run_progress, check_progress
                   the line on stderr that says what is awaited, and how far a check has come
    backend_list   the text of `convdiff backends`

Start-up time decides what is imported where.  `main` imports a command's module when it is called,
and that module imports neither numpy nor rich nor the diagnosis before the command runs: see
`convdiff.pipeline` for why numpy has to wait.
"""
