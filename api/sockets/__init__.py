"""/ws: pushes notifications to watchers."""
