"""All trigger kinds: ours, and those of installed packages. A new kind is one file and one line here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

from config.plugins import check_descriptor, with_plugins
from scheduler.domain.errors import InvalidField
from scheduler.triggers.a2a_wait import A2aWaitConfig
from scheduler.triggers.base import KindDefect, TriggerConfig, faults_of
from scheduler.triggers.calendar import CalendarConfig
from scheduler.triggers.check import CheckConfig
from scheduler.triggers.cron import CronConfig
from scheduler.triggers.email import EmailConfig
from scheduler.triggers.file import FileConfig
from scheduler.triggers.interval import IntervalConfig
from scheduler.triggers.on_message import OnMessageConfig
from scheduler.triggers.once import OnceConfig
from scheduler.triggers.poll import PollConfig
from scheduler.triggers.queue import QueueConfig
from scheduler.triggers.wake import WakeConfig
from scheduler.triggers.webhook import WebhookConfig

OURS: tuple[type[TriggerConfig], ...] = (
    CronConfig,
    OnceConfig,
    IntervalConfig,
    PollConfig,
    OnMessageConfig,
    WebhookConfig,
    CalendarConfig,
    CheckConfig,
    FileConfig,
    EmailConfig,
    QueueConfig,
    WakeConfig,
    A2aWaitConfig,
)


def _named(plugin: object) -> tuple[str, type[TriggerConfig]]:
    if not (isinstance(plugin, type) and issubclass(plugin, TriggerConfig)):
        raise TypeError("it is not a subclass of scheduler.triggers.base.TriggerConfig")
    check_descriptor(plugin, TriggerConfig)
    json.dumps(plugin.model_json_schema())  # what lists of kinds and the API's description show
    return plugin.kind, plugin


KINDS: dict[str, type[TriggerConfig]] = with_plugins(
    "reveille.triggers", {each.kind: each for each in OURS}, _named
)

OFFERED: dict[str, type[TriggerConfig]] = {name: kind for name, kind in KINDS.items() if kind.is_offered}
"""The kinds that people and agents can create."""

LISTED: dict[str, type[TriggerConfig]] = {name: kind for name, kind in KINDS.items() if kind.is_listed}
"""The kinds listed with an agent's triggers."""

ADDRESSED = tuple(name for name, kind in KINDS.items() if kind.has_address)
"""The kinds whose triggers have an address of their own."""

UNLISTED = tuple(name for name, kind in KINDS.items() if not kind.is_listed)

TIMED = frozenset(name for name, kind in KINDS.items() if kind.schedule is not TriggerConfig.schedule)
"""The kinds with a native job."""

CLOCKED = frozenset(name for name in TIMED if KINDS[name].checked_by is None)
"""The kinds that fire by the clock alone, which can be previewed."""


def icon_of(kind_name: str) -> str:
    """Returns the path of a type's icon, or a plain one for a type that is no longer installed."""
    return KINDS.get(kind_name, TriggerConfig).icon


def source_of(kind_name: str) -> Literal["clock", "outside", "look"]:
    """Returns what fires a kind, which colours its mark: the clock, callers and writers, or what it looks at."""
    kind = KINDS.get(kind_name, TriggerConfig)
    if kind_name in CLOCKED:
        return "clock"
    return "outside" if kind.has_address or kind.forgets_while_paused else "look"


def in_words(kind_name: str, config: Mapping[str, Any]) -> str:
    """Describes when a config of a kind fires; empty without a description."""
    try:
        with faults_of(kind_name):
            words: object = KINDS.get(kind_name, TriggerConfig).in_words(config)
    except KindDefect:  # a page that shows many triggers must open whatever one's kind does
        return ""
    return words if isinstance(words, str) else ""


def headings_of(kind_name: str, language: str) -> Mapping[str, str]:
    """Returns a type's headings for members of its firings' `data`; English for an unknown language."""
    headings = KINDS.get(kind_name, TriggerConfig).data_headings
    return headings.get(language) or headings.get("en") or {}


def kind_of(kind_name: str) -> type[TriggerConfig]:
    """Returns the kind named `kind_name`; raises InvalidField on `type` listing the known ones."""
    try:
        return KINDS[kind_name]
    except KeyError:
        raise InvalidField(
            f"type {kind_name!r} is not known; use one of {', '.join(OFFERED)}.", field="type"
        ) from None
