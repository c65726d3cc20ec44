"""Changes a trigger's fields: checked as at creation, written in one transaction with its jobs.

Slots that were due before the change are settled first; the new settings apply from then on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, case, or_, update

from scheduler.domain.errors import InvalidField
from scheduler.domain.json_values import merge_patch
from scheduler.domain.permissions import Permitted
from scheduler.invocations.shortening import shorten_window
from scheduler.manage.agents import trigger_limits as agent_made
from scheduler.manage.triggers import rows
from scheduler.manage.triggers.due_slots import dropped_event, lock_settled, upcoming
from scheduler.manage.triggers.jobs import (
    end_at_max_fires,
    finish_trigger,
    pause_trigger,
    put_jobs,
    resume_trigger,
)
from scheduler.manage.triggers.spec import TriggerSpec, TriggerWithLimits, check_spec
from scheduler.net.policy import AllowedPrivate
from scheduler.storage.audit import record_events
from scheduler.storage.read_models.triggers import TriggerView, get_view
from scheduler.storage.secrets import SecretBox
from scheduler.storage.tables.core import Trigger
from scheduler.triggers.base import (
    TriggerConfig,
    faults_of,
    first_run,
    join_secrets,
    parse_config,
    resolve_config,
    split_secrets,
    zone_for,
)
from scheduler.triggers.registry import kind_of

UPDATED, PAUSED = "updated", "paused"


@dataclass(frozen=True, slots=True)
class Author:
    """Who changes a trigger. `is_agent`: the trigger's own agent, which has its own limits."""

    actor: str
    is_agent: bool = False


@dataclass(frozen=True, slots=True)
class _Config:
    """A changed config: its columns, the trigger's next slot, and the slot it dropped."""

    columns: dict[str, Any]
    next_run_time: datetime | None
    dropped: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Change:
    """The planned state of a trigger."""

    spec: TriggerSpec
    config: _Config
    columns: dict[str, Any]
    asks: bool
    """Whether it needs a person's approval."""
    differs: bool
    ended: str | None
    """Why it no longer fires."""


class TriggerChanges:
    """Changes triggers. Every call is part of the caller's transaction."""

    def __init__(self, box: SecretBox, allow_private: AllowedPrivate, permitted: Permitted) -> None:
        """`allow_private`: which non-public addresses polls may request."""
        self._box = box
        self._allow_private = allow_private
        self._permitted = permitted

    def apply(
        self, conn: Connection, tenant_id: UUID, trigger_id: UUID, patch: Mapping[str, Any], author: Author
    ) -> TriggerView:
        """Settles due slots, applies the fields of `patch`, then pauses or resumes.

        Raises as Triggers.update does.
        """
        was_enabled = _lock(conn, tenant_id, trigger_id, author, resumes=bool(patch.get("is_enabled"))).is_enabled
        row = _settle(conn, tenant_id, trigger_id, patch, author)
        change = self._merge(conn, row, patch, author)
        # Settling may have fired the last slot, which ends a trigger even if nothing else changes.
        if change.differs or (change.ended is not None and row.is_enabled):
            _write(conn, row, change)
            _schedule(conn, row, change)
            _audit(conn, row, change, patch, author)
            _end(conn, row, change, patch, author)
        if not change.asks:
            _toggle(conn, row, patch, author, was_enabled=was_enabled)
        return get_view(conn, tenant_id, trigger_id)

    def _merge(
        self, conn: Connection, row: TriggerWithLimits, patch: Mapping[str, Any], author: Author
    ) -> _Change:
        """Merges and checks the fields as at creation."""
        before = rows.spec_of(row)
        spec = before.patched(patch)
        if row.is_system and spec.name != row.name:
            raise InvalidField("A system trigger cannot be renamed.", field="name")
        now = row.now if "expires_at" in patch else datetime.min.replace(tzinfo=row.now.tzinfo)
        check_spec(spec, now, before)
        config = _Config({}, row.next_run_time)
        if "config" in patch:
            config = self._merge_config(conn, row, patch["config"], author)
        if author.is_agent:
            agent_made.check_changeable(kind_of(row.type))
            config.columns.update(agent_made.changed_columns(conn, row, patch))
            spec = agent_made.bounded(spec, config.next_run_time, row.now, patch)
        asks = author.is_agent and row.approve_triggers and bool(set(patch) - {"is_enabled"})
        values = spec.columns() | config.columns | (rows.AWAITS if asks else {})
        differs = "is_enabled" in patch or any(getattr(row, name) != value for name, value in values.items())
        return _Change(spec, config, values, asks, differs, _why_ended(row, config.next_run_time, spec.max_fires))

    def _merge_config(
        self, conn: Connection, row: TriggerWithLimits, patch: Mapping[str, Any], author: Author
    ) -> _Config:
        kind = kind_of(row.type)
        held = join_secrets(row.config, self.open(row.secret))
        whole = rows.widened(row, merge_patch(held, patch))
        if whole == held:
            return _Config({}, row.next_run_time)
        context = rows.check_context(conn, row, self._allow_private, self._permitted, by_agent=author.is_agent)
        config = parse_config(kind, whole, context)
        zone = zone_for(config, row.agent_zone)
        if author.is_agent:
            agent_made.check_pace(config, zone, row.id, row.now)
        public, secrets = split_secrets(kind, resolve_config(config, whole, context))
        anchor = row.anchor_at if _keeps_grid(row, config) else row.now
        columns = {"config": public, "zone": zone, "secret": self.seal(secrets), "anchor_at": anchor}
        if kind.forgets_while_paused:
            columns["listens_since"] = row.now
        first_run(config, zone, row.id, row.now, anchor=anchor)
        with faults_of(kind.kind):
            return _Config(columns, *upcoming(row, config, zone, anchor))

    def seal(self, secrets: Mapping[str, Any]) -> bytes | None:
        """Encrypts the secrets of a config."""
        return self._box.encrypt(json.dumps(secrets)) if secrets else None

    def open(self, secret: bytes | None) -> dict[str, Any]:
        """Decrypts the secrets of a config."""
        return {} if secret is None else dict(json.loads(self._box.decrypt(secret)))


def lock_to_pause(conn: Connection, tenant_id: UUID, trigger_id: UUID, author: Author) -> TriggerWithLimits:
    """Locks a trigger that is about to be paused and settles its due slots. Raises NotFound, Forbidden."""
    return lock_settled(
        conn,
        tenant_id,
        trigger_id,
        because=PAUSED,
        actor=author.actor,
        by_agent=author.is_agent,
        last_look=True,
        pauses=True,
    )


def _lock(
    conn: Connection, tenant_id: UUID, trigger_id: UUID, author: Author, *, resumes: bool
) -> TriggerWithLimits:
    """Locks a trigger, with its agent when it may be resumed, which counts toward the agent's limit."""
    lock = rows.lock_trigger_and_agent if resumes else rows.lock_trigger
    return lock(conn, tenant_id, trigger_id, by_agent=author.is_agent)


def _settle(
    conn: Connection, tenant_id: UUID, trigger_id: UUID, patch: Mapping[str, Any], author: Author
) -> TriggerWithLimits:
    """Settles a trigger's due slots before it is changed."""
    if patch.get("is_enabled") is False and patch.keys() == {"is_enabled"}:
        return lock_to_pause(conn, tenant_id, trigger_id, author)
    last_look = "config" in patch
    return lock_settled(conn, tenant_id, trigger_id, because=UPDATED, actor=author.actor, last_look=last_look)


def _why_ended(row: TriggerWithLimits, next_run_time: datetime | None, max_fires: int | None) -> str | None:
    """Returns why a trigger no longer fires after the change; None when it does."""
    if row.job_kind is not None and next_run_time is None and row.is_enabled:
        return "finished"
    return "max_fires" if max_fires is not None and row.fire_count >= max_fires else None


def _write(conn: Connection, row: TriggerWithLimits, change: _Change) -> None:
    is_new = or_(Trigger.expect_within.is_(None), Trigger.expect != change.spec.expect)
    since = case((is_new, row.now), else_=Trigger.expected_since)
    columns = change.columns | {"updated_at": row.now, "expected_since": since}
    statement = update(Trigger).where(Trigger.id == row.id).values(columns)
    with rows.refuse_taken(change.spec.name):
        conn.execute(statement)


def _schedule(conn: Connection, row: TriggerWithLimits, change: _Change) -> None:
    """Updates the jobs to match the change."""
    put_jobs(
        conn,
        row.id,
        change.config.next_run_time,
        timed=row.job_kind is not None,
        enabled=row.is_enabled and change.ended is None and not change.asks,
        expires_at=change.spec.expires_at,
    )
    if change.spec.cooldown_seconds < row.cooldown_seconds:
        shorten_window(conn, row.agent_id, row.id)


def _audit(
    conn: Connection, row: TriggerWithLimits, change: _Change, patch: Mapping[str, Any], author: Author
) -> None:
    detail = {"approval": agent_made.AWAITING} if change.asks else {}
    rows.audit(conn, UPDATED, row.tenant_id, row.agent_id, row.id, author.actor, fields=sorted(patch), **detail)
    if change.config.dropped is not None and row.is_enabled:
        record_events(conn, [dropped_event(row, change.config.dropped, author.actor)])


def _end(
    conn: Connection, row: TriggerWithLimits, change: _Change, patch: Mapping[str, Any], author: Author
) -> None:
    """Ends a trigger that no longer fires after the change."""
    if not row.is_enabled or change.ended is None or change.asks:
        return
    if change.ended == "max_fires":
        end_at_max_fires(conn, row, author.actor, by_agent=author.is_agent or "max_fires" not in patch)
    else:
        finish_trigger(conn, replace(row, expires_at=change.spec.expires_at), author.actor)


def _toggle(
    conn: Connection, row: TriggerWithLimits, patch: Mapping[str, Any], author: Author, *, was_enabled: bool
) -> None:
    """Pauses or resumes a trigger according to the requested `is_enabled`."""
    wanted = patch.get("is_enabled")
    # The slot that was just settled may have been its last one, which must not restart it.
    ends_itself = was_enabled and not {"max_fires", "config"} & patch.keys()
    if wanted is False:
        paused = lock_to_pause(conn, row.tenant_id, row.id, author)
        pause_trigger(conn, paused, author.actor, by_agent=author.is_agent)
    elif wanted and not ends_itself:
        resume_trigger(conn, rows.lock_trigger(conn, row.tenant_id, row.id), author.actor)


def _keeps_grid(row: TriggerWithLimits, config: TriggerConfig) -> bool:
    """Whether the slots stay on their grid, which they do unless their distance changes."""
    try:
        with faults_of(row.type):
            return kind_of(row.type).model_construct(**row.config).step() == config.step()
    except Exception:  # noqa: BLE001  # what is stored cannot be read, which may be why it is changed
        return False
