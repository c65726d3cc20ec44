"""The `reveille` command: one file for each group of subcommands.

Not here: business rules; commands call the API or the services.
"""
