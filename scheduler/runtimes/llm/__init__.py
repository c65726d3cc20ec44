"""The `llm` runtime: the agent is a provider's model with tools, run here with pydantic-ai.

The library is loaded by the first run, so that a worker without such agents does not need the memory.
"""

from __future__ import annotations

from scheduler.runtimes.llm.config import LlmRuntime
from scheduler.runtimes.llm.runtime import LlmRun

__all__ = ["LlmRun", "LlmRuntime"]
