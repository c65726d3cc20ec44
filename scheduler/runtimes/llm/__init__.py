"""The `llm` runtime: the agent is a provider's model with tools, run here with pydantic-ai.

The library is loaded by the first run, so that a worker without such agents does not need the memory. Not here:
the tools (scheduler/toolbox), and which models a tenant has (scheduler/manage/models.py).
"""

from __future__ import annotations

from scheduler.runtimes.llm.config import LlmRuntime
from scheduler.runtimes.llm.runtime import LlmRun

__all__ = ["LlmRun", "LlmRuntime"]
