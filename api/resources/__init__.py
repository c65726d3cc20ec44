"""The resources of the HTTP API, one file each; their shapes are in api/schemas.

Not here: business rules, which are in scheduler/manage; other protocols (api/a2a, api/mcp, api/hooks.py, api/sockets).
"""
