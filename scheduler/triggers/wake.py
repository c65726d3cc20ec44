"""wake: somebody calls the agent. Each agent has one such trigger, which the system creates."""

from __future__ import annotations

from typing import ClassVar

from scheduler.triggers.base import TriggerConfig


class WakeConfig(TriggerConfig):
    """`{}`: it has no settings."""

    kind: ClassVar = "wake"
    label: ClassVar = "Wake"
    summary: ClassVar = "When somebody calls the agent."
    icon: ClassVar = "M0 5.2-5.2-4.5H5.2Z"
    keeps_pace: ClassVar = False
    docs: ClassVar = "docs/api.md"
    is_offered: ClassVar = False
    is_listed: ClassVar = False
