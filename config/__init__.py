"""Settings, logging and server configuration.

Not here: what is set by people in the database, such as tenants and their limits (scheduler/manage).
"""
