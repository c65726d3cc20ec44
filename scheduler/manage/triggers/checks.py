"""What callers may do with triggers that check something: read their state, and try them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, cast
from uuid import UUID

from scheduler.domain.clock import Clock
from scheduler.domain.errors import ConfigurationError, Conflict, InvalidField
from scheduler.domain.permissions import Permitted
from scheduler.domain.thread_quota import ThreadQuota
from scheduler.intake.polls.custom_checks import is_custom, open_custom
from scheduler.intake.polls.settle import CheckedTrigger, Poll, open_poll
from scheduler.intake.polls.statements import PollDetail, read_poll
from scheduler.intake.polls.trial import PollTrial, record_try, try_look
from scheduler.manage.agents.rights import check_may_try, is_own
from scheduler.manage.agents.trigger_limits import APPROVED
from scheduler.net.headers import check_request, check_server
from scheduler.net.policy import AllowedPrivate
from scheduler.storage.agents import get_agent
from scheduler.storage.engine import Database
from scheduler.storage.read_models.triggers import TriggerView
from scheduler.storage.secrets import SecretBox
from scheduler.triggers.base import CheckContext, TriggerConfig, parse_config
from scheduler.triggers.looks import LookConfig
from scheduler.triggers.poll import PollConfig, SeenValue
from scheduler.triggers.registry import KINDS, OFFERED, kind_of


@dataclass(frozen=True, slots=True)
class Trier:
    """Who tries a check; `agent_id`: an agent, with its own key."""

    tenant_id: UUID
    actor: str
    agent_id: UUID | None = None


class Checks:
    """The operations on checks. A trial takes up to 11 s of the calling thread, and is audited."""

    def __init__(
        self, db: Database, box: SecretBox, allow_private: AllowedPrivate, permitted: Permitted, clock: Clock
    ) -> None:
        self._db = db
        self._box = box
        self._allow_private = allow_private
        self._permitted = permitted
        self._clock = clock
        self._trials = ThreadQuota("polls are being tried")

    def detail(self, trigger: TriggerView) -> PollDetail:
        """Returns the state of a trigger's checks. Raises Conflict for a kind that checks nothing."""
        kind = KINDS.get(trigger.type)
        if kind is None or not has_checks(kind):
            raise Conflict(f"A {trigger.type} trigger has no check; only a poll does.")
        with self._db.begin() as conn:
            return read_poll(conn, trigger.id)

    def last_value(self, detail: PollDetail) -> SeenValue | None:
        """Returns what the last check found; None before the first, or if it cannot be read."""
        if not is_custom(detail.stored):
            return Poll(detail.stored, PollConfig.model_construct(**detail.stored.config)).before()
        try:
            check = open_custom(detail.stored, self._box)
        except ConfigurationError:
            return None
        cursor = check.cursor()
        return None if cursor is None else SeenValue(check.config.remembered(cursor))

    def header_names(self, trigger: TriggerView) -> list[str]:
        """Returns the names of the headers that a poll sends; none when they are encrypted with another key."""
        if trigger.type != PollConfig.kind:
            return []
        try:
            return sorted(open_poll(self.detail(trigger).stored, self._box).config.headers)
        except (ConfigurationError, AttributeError):  # older configs may lack them
            return []

    def try_config(self, trier: Trier, type_name: str, config: Mapping[str, Any]) -> PollTrial:
        """Checks now for a trigger that need not exist.

        Raises InvalidField, Forbidden where an agent's triggers need approval, and LimitReached.
        """
        self._check_may_try(trier)
        return self._try(trier, self._parsed(trier, type_name, config), None)

    def try_trigger(self, trier: Trier, trigger: TriggerView) -> PollTrial:
        """Checks now and compares with the trigger's last value. Raises as `try_config`, Conflict as `detail`."""
        check = self._opened(trigger)
        is_approved = trigger.is_enabled or trigger.approval == APPROVED or not is_own(trigger)
        self._check_may_try(trier, is_approved=is_approved)
        return self._try(trier, check.config, check, trigger.id)

    def find_now(self, trier: Trier, trigger: TriggerView) -> dict[str, Any] | None:
        """Returns what a poll finds now, as its firing carries it; None when it may not fire or the check fails."""
        if trigger.type != PollConfig.kind or not trigger.is_enabled:
            return None
        try:
            poll = self._opened(trigger)
        except ConfigurationError:  # encrypted with another key: it cannot be checked
            return None
        trial = self._try(trier, poll.config, poll, trigger.id)
        return None if trial.data is None else dict(trial.data)

    def _opened(self, trigger: TriggerView) -> CheckedTrigger:
        stored = self.detail(trigger).stored
        return open_custom(stored, self._box) if is_custom(stored) else open_poll(stored, self._box)

    def _parsed(self, trier: Trier, type_name: str, config: Mapping[str, Any]) -> PollConfig | LookConfig:
        kind = kind_of(type_name)
        if not (kind.can_try and has_checks(kind)):
            tried = ", ".join(name for name, each in OFFERED.items() if each.can_try)
            raise InvalidField(f"A {type_name} trigger has no check that can be tried; use {tried}.", field="type")
        context = CheckContext(
            now=self._clock.now(),
            check_request=partial(check_request, allow_private=self._allow_private),
            check_server=partial(check_server, allow_private=self._allow_private),
            permitted=self._permitted,
            by_agent=trier.agent_id is not None,
        )
        return cast("PollConfig | LookConfig", parse_config(kind, config, context))

    def _check_may_try(self, trier: Trier, *, is_approved: bool = False) -> None:
        """Raises Forbidden when an agent tries with its own key what needs a person's approval."""
        if trier.agent_id is not None:
            with self._db.begin() as conn:
                agent = get_agent(conn, trier.tenant_id, trier.agent_id)
            check_may_try(approve_triggers=agent.approve_triggers, is_approved=is_approved)

    def _try(
        self,
        trier: Trier,
        config: PollConfig | LookConfig,
        last: CheckedTrigger | None,
        trigger_id: UUID | None = None,
    ) -> PollTrial:
        with self._trials.take(trier.tenant_id):
            with self._db.begin() as conn:
                record_try(
                    conn, trier.tenant_id, trier.actor, config, trigger_id=trigger_id, agent_id=trier.agent_id
                )
            return asyncio.run(
                try_look(
                    config,
                    last,
                    allow_private=self._allow_private,
                    permitted=self._permitted,
                    clock=self._clock,
                )
            )


def has_checks(kind: type[TriggerConfig]) -> bool:
    """Whether triggers of this kind check something by their own config."""
    return issubclass(kind, PollConfig | LookConfig)
