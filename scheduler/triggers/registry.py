"""Every trigger kind there is. A new kind is one file beside this one and one line here."""

from __future__ import annotations

from scheduler.domain.errors import InvalidField
from scheduler.triggers.a2a_wait import A2aWaitConfig
from scheduler.triggers.base import TriggerConfig
from scheduler.triggers.cron import CronConfig
from scheduler.triggers.interval import IntervalConfig
from scheduler.triggers.on_message import OnMessageConfig
from scheduler.triggers.once import OnceConfig
from scheduler.triggers.poll import PollConfig
from scheduler.triggers.wake import WakeConfig
from scheduler.triggers.webhook import WebhookConfig

KINDS: dict[str, type[TriggerConfig]] = {
    kind.kind.value: kind
    for kind in (
        CronConfig,
        OnceConfig,
        IntervalConfig,
        PollConfig,
        OnMessageConfig,
        WebhookConfig,
        WakeConfig,
        A2aWaitConfig,
    )
}


OFFERED = ", ".join(name for name, kind in KINDS.items() if not kind.is_system)


def kind_of(type_name: str) -> type[TriggerConfig]:
    """The kind named `type_name`; raises InvalidField on `type` naming those there are."""
    try:
        return KINDS[type_name]
    except KeyError:
        raise InvalidField(f"type {type_name!r} is not known; use one of {OFFERED}.", field="type") from None


TIMED = frozenset(name for name, kind in KINDS.items() if kind.schedule is not TriggerConfig.schedule)
"""The kinds that own a native job."""
