"""Tools that an agent may call while it runs, or over MCP.

Not here: the MCP server (api/mcp.py), and the rules of what agents may do (scheduler/manage).
"""
