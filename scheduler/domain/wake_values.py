"""The values of a wake that templates can use."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from scheduler.domain.run import RunRequest

MAX_NAMED = 5
"""How many triggers a summary names."""


def summary_of(request: RunRequest) -> str:
    """Summarizes in one line what woke the agent."""
    counts = Counter(f"{each.trigger.name} ({each.trigger.type})" for each in request.firings)
    named = [f"{name} x{count}" if count > 1 else name for name, count in counts.most_common(MAX_NAMED)]
    more = ["…"] if len(counts) > MAX_NAMED else []
    number = len(request.firings)
    return f"{number} firing{'' if number == 1 else 's'}: {', '.join(named + more)}"


WAKE_VALUES: Mapping[str, Callable[[RunRequest], Any]] = MappingProxyType(
    {
        "context": lambda request: request.context,
        "summary": summary_of,
        "invocation_id": lambda request: str(request.invocation_id),
        "attempt": lambda request: request.attempt,
        "agent": lambda request: request.agent.model_dump(mode="json"),
        "agent.id": lambda request: str(request.agent.id),
        "agent.name": lambda request: request.agent.name,
        "firings": lambda request: [each.model_dump(mode="json") for each in request.firings],
        "firing_count": lambda request: len(request.firings),
        "complete_url": lambda request: request.complete_url,
        "complete_token": lambda request: request.complete_token,
        "request": lambda request: request.model_dump(mode="json"),
    }
)
"""All values by name."""
PLAIN = ("invocation_id", "attempt", "agent.id")
"""Those that can be used in a header."""
