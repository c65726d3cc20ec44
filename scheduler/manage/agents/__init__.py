"""The service of agents, and its parts: runtime settings, heartbeat, MCP servers, and what an agent itself may do.

Not here: how agents are called (scheduler/runtimes) and when (scheduler/invocations).
"""
