"""`reveille doctor`: checks of the machine, the database and a restored one, and the upgrade of an embedded database.

Not here: what the pages and /readyz say of a running service (scheduler/storage/read_models/status.py).
"""
