"""The `reveille` command: one file for each group of subcommands.

Not here: rules; the commands ask the API or the services.
"""
