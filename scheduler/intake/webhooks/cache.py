"""Caches a process's webhooks between transactions. It only saves work and decides nothing."""

from __future__ import annotations

import json
from collections import OrderedDict, deque
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import Connection

from scheduler.intake.webhooks.statements import Hook, read_accepted
from scheduler.storage.secrets import SecretBox
from scheduler.triggers.base import join_secrets
from scheduler.triggers.webhook import WebhookConfig

MINUTE = timedelta(seconds=60)
"""The length of the sliding window for rate limits."""
REMEMBERED = 1000
"""The most triggers that are cached."""

Value = TypeVar("Value")


@dataclass(slots=True)
class RateWindow:
    """A trigger's rate window: when deliveries were accepted in it, oldest first, and their number."""

    limit: int
    times: deque[datetime]
    taken: int = 0

    def wait(self, now: datetime) -> timedelta | None:
        """Returns how long the next delivery must wait; None when it is within the limit."""
        over = len(self.times) + self.taken - self.limit
        if over < 0:
            return None
        leaves = self.times[over] if over < len(self.times) else now
        return leaves + MINUTE - now


class HookMemory:
    """Parsed configs and the times of accepted deliveries. Used by one transaction at a time."""

    def __init__(self, box: SecretBox) -> None:
        self._box = box
        self._configs: OrderedDict[UUID, tuple[dict[str, Any], bytes | None, WebhookConfig]] = OrderedDict()
        self._times: OrderedDict[UUID, deque[datetime]] = OrderedDict()

    def config(self, hook: Hook) -> WebhookConfig:
        """Returns the webhook's config with its secrets; decrypts and parses it only when its row has changed."""
        known = self._configs.get(hook.trigger.id)
        if known is not None and known[:2] == (hook.config, hook.secret):
            return known[2]
        secrets = json.loads(self._box.decrypt(hook.secret)) if hook.secret else {}
        config = WebhookConfig.model_validate(join_secrets(hook.config, secrets))
        _remember(self._configs, hook.trigger.id, (hook.config, hook.secret, config))
        return config

    def meters(self, conn: Connection, hooks: Collection[Hook]) -> tuple[datetime, dict[UUID, RateWindow]]:
        """Returns the database's time and each locked webhook's meter at that time.

        Only committed deliveries are cached, so a rollback leaves nothing wrong behind, and only newer ones are
        read: a limit of a million costs no more than one of five.
        """
        known = {hook.trigger.id: self._times.get(hook.trigger.id, deque()) for hook in hooks}
        now, fresh = read_accepted(conn, {each: times[-1] if times else None for each, times in known.items()})
        for trigger_id, times in known.items():
            times.extend(fresh[trigger_id])
            while times and times[0] <= now - MINUTE:
                times.popleft()
            _remember(self._times, trigger_id, times)
        # Times must keep rising even if the database's clock is set back.
        latest = max([now, *(times[-1] for times in known.values() if times)])
        return latest, {hook.trigger.id: RateWindow(hook.rate_limit, known[hook.trigger.id]) for hook in hooks}


def _remember(cache: OrderedDict[UUID, Value], key: UUID, value: Value) -> None:
    cache[key] = value
    cache.move_to_end(key)
    while len(cache) > REMEMBERED:
        cache.popitem(last=False)
