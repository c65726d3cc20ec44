"""/ws: pushes notifications to watchers.

Not here: who is notified of what (scheduler/notifications), and live pages (api/web/streams.py).
"""
