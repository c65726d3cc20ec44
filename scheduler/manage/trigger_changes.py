"""A change of a trigger's fields: checked as at creation, written in one transaction with its jobs.

Slots that were due before it are settled first; what is new holds from then on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, update

from scheduler.domain.errors import InvalidField
from scheduler.domain.permitted import Permitted
from scheduler.invocations.shortening import shorten_window
from scheduler.manage import agent_trigger_limits as agent_made
from scheduler.manage import trigger_rows as rows
from scheduler.manage.due_slots import dropped_event, lock_settled, upcoming
from scheduler.manage.stored_triggers import HeldTrigger
from scheduler.manage.trigger_jobs import end_at_max_fires, finish_trigger, pause_trigger, put_jobs, resume_trigger
from scheduler.manage.trigger_spec import check_spec
from scheduler.net.policy import AllowedPrivate
from scheduler.storage.audit import record_events
from scheduler.storage.secrets import SecretBox
from scheduler.storage.tables import Trigger
from scheduler.storage.trigger_views import TriggerView, get_view
from scheduler.storage.triggers import zone_of
from scheduler.triggers.base import (
    TriggerConfig,
    join_secrets,
    merge_patch,
    never_fires,
    parse_config,
    resolve_config,
    split_secrets,
)
from scheduler.triggers.registry import kind_of

UPDATED, PAUSED = "updated", "paused"


@dataclass(frozen=True, slots=True)
class Author:
    """Who changes a trigger; `is_agent`: the agent that it is a trigger of, within the limits of such."""

    actor: str
    is_agent: bool = False


@dataclass(frozen=True, slots=True)
class _Config:
    """A config that was changed: its columns, the trigger's next slot, and the slot that it took away."""

    columns: dict[str, Any]
    next_run_time: datetime | None
    dropped: datetime | None = None


class TriggerChanges:
    """Changes triggers. Every call is part of the caller's transaction."""

    def __init__(self, box: SecretBox, allow_private: AllowedPrivate, permitted: Permitted) -> None:
        """`allow_private`: what polls may request besides the public internet."""
        self._box = box
        self._allow_private = allow_private
        self._permitted = permitted

    def apply(
        self, conn: Connection, tenant_id: UUID, trigger_id: UUID, patch: Mapping[str, Any], author: Author
    ) -> TriggerView:
        """Settle what is due, change the fields of `patch`, then pause or resume. Raises what Triggers.update does."""
        wanted, actor, by_agent = patch.get("is_enabled"), author.actor, author.is_agent
        was_enabled = _lock(conn, tenant_id, trigger_id, author, resumes=bool(wanted)).is_enabled
        if wanted is False and patch.keys() == {"is_enabled"}:
            row = lock_to_pause(conn, tenant_id, trigger_id, author)
        else:
            changes_config = "config" in patch
            row = lock_settled(conn, tenant_id, trigger_id, because=UPDATED, actor=actor, last_look=changes_config)
        asks = by_agent and row.approve_triggers and bool(set(patch) - {"is_enabled"})
        self._write(conn, row, patch, author, asks=asks)
        # A slot that was due may just have been its last one: that is no reason to start it again.
        ends_itself = was_enabled and not {"max_fires", "config"} & patch.keys()
        if wanted is False and not asks:
            row = lock_to_pause(conn, tenant_id, trigger_id, author)
            pause_trigger(conn, row, actor, by_agent=by_agent)
        elif wanted and not asks and not ends_itself:
            resume_trigger(conn, rows.lock_trigger(conn, tenant_id, trigger_id), actor)
        return get_view(conn, tenant_id, trigger_id)

    def _write(
        self, conn: Connection, row: HeldTrigger, patch: Mapping[str, Any], author: Author, *, asks: bool
    ) -> None:
        """Check and write the fields, with the jobs and the audit trail."""
        actor = author.actor
        before = rows.spec_of(row)
        spec = before.patched(patch)
        if row.is_system and spec.name != row.name:
            raise InvalidField("The name of a trigger that belongs to the system stays.", field="name")
        now = row.now if "expires_at" in patch else datetime.min.replace(tzinfo=row.now.tzinfo)
        check_spec(spec, now, before)
        config = _Config({}, row.next_run_time)
        if "config" in patch:
            config = self._changed(conn, row, patch["config"], author)
        if author.is_agent:
            agent_made.check_changeable(kind_of(row.type))
            config.columns.update(agent_made.changed_columns(conn, row, patch))
            spec = agent_made.bounded(spec, config.next_run_time, row.now, patch)
        values = spec.columns() | config.columns | (rows.AWAITS if asks else {})
        ended = self._ended(row, config.next_run_time, spec.max_fires)
        is_same = "is_enabled" not in patch and all(getattr(row, name) == value for name, value in values.items())
        # What was due has been settled: its last slot ends a trigger, also where nothing else is changed.
        if is_same and (ended is None or not row.is_enabled):
            return
        statement = update(Trigger).where(Trigger.id == row.id).values(values | {"updated_at": row.now})
        with rows.refuse_taken(spec.name):
            conn.execute(statement)
        put_jobs(
            conn,
            row.id,
            config.next_run_time,
            timed=row.job_kind is not None,
            enabled=row.is_enabled and ended is None and not asks,
            expires_at=spec.expires_at,
        )
        if spec.cooldown_seconds < before.cooldown_seconds:
            shorten_window(conn, row.agent_id, row.id)
        detail = {"approval": agent_made.AWAITING} if asks else {}
        rows.audit(conn, UPDATED, row.tenant_id, row.agent_id, row.id, actor, fields=sorted(patch), **detail)
        if config.dropped is not None and row.is_enabled:
            record_events(conn, [dropped_event(row, config.dropped, actor)])
        if row.is_enabled and ended is not None and not asks:
            if ended == "max_fires":
                end_at_max_fires(conn, row, actor, by_agent=author.is_agent or "max_fires" not in patch)
            else:
                finish_trigger(conn, row, actor)

    def _ended(self, row: HeldTrigger, next_run_time: datetime | None, max_fires: int | None) -> str | None:
        """Why a trigger fires no more after the change; None when it does."""
        if row.job_kind is not None and next_run_time is None and row.is_enabled:
            return "finished"
        return "max_fires" if max_fires is not None and row.fire_count >= max_fires else None

    def _changed(self, conn: Connection, row: HeldTrigger, patch: Mapping[str, Any], author: Author) -> _Config:
        kind = kind_of(row.type)
        held = join_secrets(row.config, self.open(row.secret))
        whole = rows.widened(row, merge_patch(held, patch))
        if whole == held:
            return _Config({}, row.next_run_time)
        context = rows.check_context(conn, row, self._allow_private, self._permitted, by_agent=author.is_agent)
        config = parse_config(kind, whole, context)
        zone = zone_of(config.own_zone, row.agent_zone)
        if author.is_agent:
            agent_made.check_pace(config, zone, row.id, row.now)
        public, secrets = split_secrets(kind, resolve_config(config, whole, context))
        anchor = row.anchor_at if _keeps_grid(row, config) else row.now
        columns = {"config": public, "zone": zone, "secret": self.seal(secrets), "anchor_at": anchor}
        if kind.forgets_while_paused:
            columns["listens_since"] = row.now
        schedule = config.schedule(zone, anchor, row.id)
        if schedule is not None and config.first_run(schedule, row.now) is None:
            raise never_fires(config, zone, anchor, row.now)
        return _Config(columns, *upcoming(row, config, zone, anchor))

    def seal(self, secrets: Mapping[str, Any]) -> bytes | None:
        """The secrets of a config, encrypted."""
        return self._box.encrypt(json.dumps(secrets)) if secrets else None

    def open(self, secret: bytes | None) -> dict[str, Any]:
        """The secrets of a config again."""
        return {} if secret is None else dict(json.loads(self._box.decrypt(secret)))


def lock_to_pause(conn: Connection, tenant_id: UUID, trigger_id: UUID, author: Author) -> HeldTrigger:
    """Lock a trigger that is about to be paused, what is due of it settled. Raises NotFound, Forbidden."""
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


def _lock(conn: Connection, tenant_id: UUID, trigger_id: UUID, author: Author, *, resumes: bool) -> HeldTrigger:
    """Lock a trigger; with its agent when it may be resumed, which counts against the agent's limit."""
    lock = rows.lock_trigger_and_agent if resumes else rows.lock_trigger
    return lock(conn, tenant_id, trigger_id, by_agent=author.is_agent)


def _keeps_grid(row: HeldTrigger, config: TriggerConfig) -> bool:
    """Whether the slots stay on the grid that they are on: they do unless they are further or less apart."""
    try:
        return kind_of(row.type).model_construct(**row.config).step() == config.step()
    except Exception:  # noqa: BLE001  # what is stored cannot be read, which may be why it is changed
        return False
