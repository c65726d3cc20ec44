"""The embedded PostgreSQL: its server process, its data directory and its account.

Not here: tables and connections (scheduler/storage).
"""
