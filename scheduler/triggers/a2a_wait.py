"""a2a_wait: an agent delegated work to another and waits for its answer. The tool `delegate` creates it.

It fires once: when the other agent answers, or when it expires unanswered, so that the waiting agent is told.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from scheduler.triggers.base import TriggerConfig


class A2aWaitConfig(TriggerConfig):
    """`{"from_agent": ID, "task": "…"}`: the agent that has to answer, and the start of its task."""

    kind: ClassVar = "a2a_wait"
    label: ClassVar = "Awaited answer"
    summary: ClassVar = "When the agent to which work was given answers, or when it has not for a day."
    icon: ClassVar = "M-5-4h10L0 0l5 4H-5L0 0Z"
    keeps_pace: ClassVar = False
    docs: ClassVar = "docs/agent-tools.md"
    is_offered: ClassVar = False

    from_agent: str = Field(title="From the agent", description="The id of the agent that has to answer.")
    task: str = Field(title="Task", description="How the task given to it begins.")
