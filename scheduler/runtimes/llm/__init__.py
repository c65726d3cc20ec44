"""The `llm` runtime: the agent thinks here, with a provider's model, and acts by tools. By pydantic-ai.

The library is loaded by the first run: a worker without such agents does not hold it.
"""

from __future__ import annotations

from scheduler.runtimes.llm.config import LlmRuntime
from scheduler.runtimes.llm.runtime import LlmRun

__all__ = ["LlmRun", "LlmRuntime"]
