"""One self-contained HTML page that says how an output came out: see `jobs.report` for the command."""
