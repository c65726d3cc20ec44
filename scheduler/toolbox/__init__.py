"""The tools of agents: one file for each group of them, used by the `llm` runtime and by the MCP server."""
