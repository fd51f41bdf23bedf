"""What CI systems understand: annotations at the lines of a script, and summaries beside the log."""
