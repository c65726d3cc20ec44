"""The kinds of targets: ours, and those of installed packages (entry points `reveille.targets`).

A new kind is one class, one line here and its test. A kind in a package has the attribute `kind`.
"""

from __future__ import annotations

from collections.abc import Mapping

from config.plugins import with_plugins
from scheduler.domain.errors import InvalidField
from scheduler.notifications.targets.kinds import (
    DiscordWebhook,
    Factory,
    FeishuBot,
    SignedWebhook,
    SlackWebhook,
    Target,
)

SIGNED = "webhook"
"""The kind that always has a secret: one is generated if none is given."""

_OURS: Mapping[str, Factory] = {
    SIGNED: SignedWebhook,
    "slack": SlackWebhook,
    "discord": DiscordWebhook,
    "feishu": FeishuBot,
}


def _named(plugin: object) -> tuple[str, Factory]:
    kind = getattr(plugin, "kind", None)
    if not (callable(plugin) and isinstance(kind, str)):
        raise TypeError(
            "it makes no targets, or does not say its kind (scheduler.notifications.targets.kinds.Factory)"
        )
    return kind, plugin


TARGETS: Mapping[str, Factory] = with_plugins("reveille.targets", _OURS, _named)


def open_target(kind: str, secret: str | None) -> Target:
    """Returns the target of that kind; raises InvalidField on `kind` or `secret`."""
    factory = TARGETS.get(kind)
    if factory is None:
        raise InvalidField(f"kind {kind!r} is not one of {', '.join(TARGETS)}.", field="kind")
    return factory(secret)
