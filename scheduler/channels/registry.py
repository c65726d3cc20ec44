"""All kinds of channels: ours, and those of installed packages (entry points `reveille.channels`).

A new one is one file beside this one and one line here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from config.plugins import with_plugins
from scheduler.channels.base import ChannelKind
from scheduler.channels.discord import DiscordChannel
from scheduler.channels.feishu import FeishuChannel
from scheduler.channels.mattermost import MattermostChannel
from scheduler.channels.slack import SlackChannel
from scheduler.channels.teams import TeamsChannel
from scheduler.channels.telegram import TelegramChannel
from scheduler.domain.errors import InvalidField

_ALL: tuple[type[ChannelKind], ...] = (
    SlackChannel,
    DiscordChannel,
    FeishuChannel,
    TelegramChannel,
    TeamsChannel,
    MattermostChannel,
)


def _named(plugin: object) -> tuple[str, type[ChannelKind]]:
    kind = getattr(plugin, "kind", None)
    if not (isinstance(plugin, type) and isinstance(kind, str) and callable(getattr(plugin, "open", None))):
        raise TypeError("it is not a class with kind and open (scheduler.channels.base.ChannelKind)")
    return kind, plugin


KINDS: Mapping[str, type[ChannelKind]] = with_plugins(
    "reveille.channels", {each.kind: each for each in _ALL}, _named
)


def open_channel(kind: str, secrets: Mapping[str, Any]) -> ChannelKind:
    """Returns a channel of the kind named `kind` with `secrets`; raises InvalidField on `kind` or `secrets.NAME`."""
    if kind not in KINDS:
        raise InvalidField(f"kind {kind!r} is not known; use one of {', '.join(KINDS)}.", field="kind")
    return KINDS[kind].open(secrets)
