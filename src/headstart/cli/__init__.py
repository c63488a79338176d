"""The command line: strings -> one call of the rooms. The only owner of typer and rich."""
