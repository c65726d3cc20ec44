"""The resources of the HTTP API, one file each, with the shapes that nobody else uses; the others are in api/schemas.

Not here: business rules, which are in scheduler/manage; other protocols (api/a2a, api/mcp, api/hooks.py, api/sockets).
"""
