"""
The command line: parses options, calls the library, and prints the results.

`app` holds the Typer application, `commands/` one module for each command or small family of commands, `targets` what the
common options select, `report` what all commands report, `documents/` the JSON. Decides nothing about migrations: that is
the library's part, reached through `MigrationRunner`. No other room imports from this one, and only this one prints.
"""
