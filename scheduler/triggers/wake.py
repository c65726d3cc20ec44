"""wake: somebody asks for the agent by a call. Each agent has one such trigger, which the system makes."""

from __future__ import annotations

from typing import ClassVar

from scheduler.domain.model import TriggerType
from scheduler.triggers.base import TriggerConfig


class WakeConfig(TriggerConfig):
    """`{}`: there is nothing to set."""

    kind: ClassVar = TriggerType.WAKE
    is_system: ClassVar = True
