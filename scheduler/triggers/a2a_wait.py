"""a2a_wait: an agent gave work to another and waits for its answer. The tool `delegate` makes one.

It fires once: when the other agent answers, or when it expires unanswered, so that the waiting agent is told.
"""

from __future__ import annotations

from typing import ClassVar

from scheduler.domain.model import TriggerType
from scheduler.triggers.base import TriggerConfig


class A2aWaitConfig(TriggerConfig):
    """`{"from_agent": ID, "task": "…"}`: who has to answer, and how the task given to it begins."""

    kind: ClassVar = TriggerType.A2A_WAIT
    is_system: ClassVar = True

    from_agent: str
    task: str
