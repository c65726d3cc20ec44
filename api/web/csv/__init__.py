"""The lists of pages as CSV (RFC 4180).

Not here: how the lists are filtered (api/web/list_filters.py) and read (scheduler/storage).
"""
