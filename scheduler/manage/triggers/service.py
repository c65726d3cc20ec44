"""The life cycle of a trigger: its row and its native job change in one transaction, and schedulers are notified.

The web process uses this and never constructs a scheduler. Lock order: the agent, the jobs, the trigger.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from scheduler.domain.errors import Conflict, InvalidField
from scheduler.domain.ids import new_token, token_hash
from scheduler.domain.permissions import NOTHING_PERMITTED, Permitted
from scheduler.manage.agents.trigger_limits import TriggerAllowance, allowances
from scheduler.manage.row_errors import RowErrors
from scheduler.manage.triggers import rows
from scheduler.manage.triggers.changes import Author, TriggerChanges, lock_to_pause
from scheduler.manage.triggers.due_slots import lock_settled
from scheduler.manage.triggers.fire import fire_trigger
from scheduler.manage.triggers.jobs import lock_all_settled, pause_trigger, remove_triggers, resume_trigger
from scheduler.manage.triggers.new import CreatedTrigger, Creator, NewTrigger, plan_trigger, write_triggers
from scheduler.manage.triggers.spec import AgentLimits, ManualFire, TriggerSpec
from scheduler.net.policy import AllowedPrivate
from scheduler.storage.engine import Database
from scheduler.storage.group_commit import GroupCommits
from scheduler.storage.idempotency import KeyedRequest
from scheduler.storage.live import MAX_TOLD
from scheduler.storage.read_models.trigger_lists import EVERY_TRIGGER, TriggerFilter
from scheduler.storage.read_models.triggers import TriggerView, find_system_view, get_view, list_views
from scheduler.storage.secrets import SecretBox
from scheduler.triggers.base import TriggerConfig, parse_config, resolve_config
from scheduler.triggers.preview import Preview, preview
from scheduler.triggers.registry import kind_of

PUBLIC_ONLY = AllowedPrivate()


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A trigger to be created."""

    agent_id: UUID
    spec: TriggerSpec
    maker: Creator


class Triggers:
    """The operations on triggers. Every method is one transaction and writes an audit event."""

    def __init__(
        self,
        db: Database,
        box: SecretBox,
        allow_private: AllowedPrivate = PUBLIC_ONLY,
        permitted: Permitted = NOTHING_PERMITTED,
    ) -> None:
        """`allow_private`: which non-public addresses polls may request."""
        self._db = db
        self._allow_private = allow_private
        self._permitted = permitted
        self._changes = TriggerChanges(box, allow_private, permitted)
        self._new: GroupCommits[tuple[UUID, bool], _Wanted, CreatedTrigger] = GroupCommits(self._create, MAX_TOLD)

    def create(
        self,
        tenant_id: UUID,
        agent_id: UUID,
        spec: TriggerSpec,
        *,
        actor: str,
        created_by: str = "",
        is_system: bool = False,
        by_agent: bool = False,
    ) -> CreatedTrigger:
        """Creates a trigger for an agent.

        Raises InvalidField, NotFound, Forbidden, or Conflict for a name or the limit. `is_system`: it is not
        counted and cannot be deleted. `by_agent`: the agent creates it itself, within the limits of
        `agents.trigger_limits`, and it may need approval. Triggers of one tenant that are created at the same time
        share a transaction; one that is refused does not affect the others.
        """
        maker = Creator(actor, created_by, is_system, by_agent)
        with rows.auditing_limits(self._db, tenant_id, actor, agent_id=agent_id):
            return self._new.submit((tenant_id, by_agent), _Wanted(agent_id, spec, maker))

    def _create(self, whose: tuple[UUID, bool], wanted: Sequence[_Wanted]) -> list[CreatedTrigger]:
        """Creates triggers of a tenant, all of them by agents or none, so that they have the same columns."""
        with self._db.begin() as conn:
            agents = rows.lock_agents(conn, whose[0], {each.agent_id for each in wanted})
            rooms = allowances(conn, agents)
            new = []
            for each in wanted:
                agent = rows.found_agent(agents, each.agent_id)
                new.append(self._plan(conn, agent, each.spec, each.maker, rooms[each.agent_id]))
            return write_triggers(conn, new)

    def create_all(
        self, tenant_id: UUID, wanted: Sequence[tuple[UUID, TriggerSpec]], *, actor: str, by_agent: bool = False
    ) -> list[CreatedTrigger]:
        """Creates all of these triggers, given as (agent id, spec), or none. Raises every error, by row."""
        maker, errors = Creator(actor, by_agent=by_agent), RowErrors()
        errors.note_repeated((agent_id, spec.name) for agent_id, spec in wanted)
        new = []
        with self._db.begin() as conn:
            agents = rows.lock_agents(conn, tenant_id, {agent_id for agent_id, _ in wanted})
            rooms = allowances(conn, agents)
            taken = rows.taken_names(conn, wanted)
            for index, (agent_id, spec) in enumerate(wanted):
                with errors.of(index):
                    if agent_id not in agents:
                        raise InvalidField(f"There is no agent {agent_id}.", field="agent_id")
                    if (agent_id, spec.name) in taken:
                        raise rows.name_taken(spec.name)
                    new.append(self._plan(conn, agents[agent_id], spec, maker, rooms[agent_id]))
            errors.raise_all()
            return write_triggers(conn, new)

    def _plan(
        self, conn: Connection, agent: AgentLimits, spec: TriggerSpec, maker: Creator, room: TriggerAllowance
    ) -> NewTrigger:
        return plan_trigger(
            conn, agent, spec, maker, room, self._allow_private, self._permitted, self._changes.seal
        )

    def resolved(
        self, conn: Connection, agent: AgentLimits, kind: type[TriggerConfig], config: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Returns a config as it would be stored for a trigger of this agent. Raises InvalidField."""
        context = rows.check_context(conn, agent, self._allow_private, self._permitted, by_agent=False)
        return resolve_config(parse_config(kind, config, context), config, context)

    def get(self, tenant_id: UUID, trigger_id: UUID) -> TriggerView:
        """Returns one trigger. Raises NotFound."""
        with self._db.begin() as conn:
            return get_view(conn, tenant_id, trigger_id)

    def find_system(self, tenant_id: UUID, agent_id: UUID, name: str) -> TriggerView | None:
        """Returns an agent's system trigger of that name."""
        with self._db.begin() as conn:
            return find_system_view(conn, tenant_id, agent_id, name)

    def list(
        self,
        tenant_id: UUID,
        wanted: TriggerFilter = EVERY_TRIGGER,
        *,
        limit: int = 50,
        after: UUID | None = None,
    ) -> list[TriggerView]:
        """Lists a tenant's triggers matching `wanted`, newest first."""
        with self._db.begin() as conn:
            return list_views(conn, tenant_id, wanted, limit=limit, after=after)

    def update(
        self, tenant_id: UUID, trigger_id: UUID, patch: Mapping[str, Any], *, actor: str, by_agent: bool = False
    ) -> TriggerView:
        """Changes fields;

        `config` is merged (RFC 7396) and checked as at creation, `is_enabled` pauses or resumes. Due slots are
        settled first. Another step starts a new grid now; any other change keeps the grid, and the same config
        changes nothing. A `max_fires` that is already reached ends the trigger. A change by its agent (`by_agent`)
        may need approval again. Raises InvalidField, NotFound, Conflict.
        """
        author = Author(actor, is_agent=by_agent)
        with rows.auditing_limits(self._db, tenant_id, actor, subject_id=trigger_id), self._db.begin() as conn:
            return self._changes.apply(conn, tenant_id, trigger_id, patch, author)

    def pause(
        self, tenant_id: UUID, trigger_id: UUID, *, actor: str, note: str | None = None, by_agent: bool = False
    ) -> TriggerView:
        """Stops new firings; due and recorded ones are still delivered. Pausing again only changes the note."""
        author = Author(actor, is_agent=by_agent)
        with self._db.begin() as conn:
            row = lock_to_pause(conn, tenant_id, trigger_id, author)
            pause_trigger(conn, row, actor, note, by_agent=by_agent)
            return get_view(conn, tenant_id, trigger_id)

    def resume(self, tenant_id: UUID, trigger_id: UUID, *, actor: str, by_agent: bool = False) -> TriggerView:
        """Starts again from now: missed slots do not fire, except a `once` that has not fired yet.

        Counts fires from zero. Raises Conflict when it has expired, has no slot left, exceeds the limit, or is not
        approved.
        """
        with rows.auditing_limits(self._db, tenant_id, actor, subject_id=trigger_id), self._db.begin() as conn:
            row = rows.lock_trigger_and_agent(conn, tenant_id, trigger_id, by_agent=by_agent)
            resume_trigger(conn, row, actor)
            return get_view(conn, tenant_id, trigger_id)

    def delete(self, tenant_id: UUID, trigger_id: UUID, *, actor: str, by_agent: bool = False) -> None:
        """Soft-deletes: due slots fire, recorded firings are still delivered, its name is free and its jobs are
        gone.
        """
        with self._db.begin() as conn:
            row = lock_settled(
                conn,
                tenant_id,
                trigger_id,
                because="deleted",
                actor=actor,
                by_agent=by_agent,
                last_look=True,
            )
            if row.is_system:
                raise Conflict("A system trigger cannot be deleted; pause it instead.")
            remove_triggers(conn, [row], actor=actor)

    def delete_all(self, tenant_id: UUID, trigger_ids: Sequence[UUID], *, actor: str) -> None:
        """Deletes many triggers as `delete` does, those of the system too; any that are gone are left out."""
        with self._db.begin() as conn:
            found = lock_all_settled(conn, tenant_id, trigger_ids, because="deleted", actor=actor)
            remove_triggers(conn, found, actor=actor)

    def fire(
        self,
        tenant_id: UUID,
        trigger_id: UUID,
        *,
        actor: str,
        by_agent: bool = False,
        request: KeyedRequest | None = None,
        seen: dict[str, Any] | None = None,
    ) -> ManualFire:
        """Fires now as requested: counted, without cooldown. Raises Conflict for one that may not fire.

        When its own agent fires it, the firing continues the agent's chain and may raise LimitReached. A repeated
        `request` returns the earlier result. `seen` is what a poll found for this firing.
        """
        with self._db.begin() as conn:
            return fire_trigger(
                conn, tenant_id, trigger_id, actor=actor, by_agent=by_agent, request=request, seen=seen
            )

    def rotate_token(
        self, tenant_id: UUID, trigger_id: UUID, *, actor: str, by_agent: bool = False
    ) -> CreatedTrigger:
        """Gives a webhook a new URL; the old one is invalid from now on. Raises Conflict for another kind."""
        with self._db.begin() as conn:
            row = rows.lock_trigger(conn, tenant_id, trigger_id, by_agent=by_agent)
            if not kind_of(row.type).has_address:
                raise Conflict(f"A {row.type} trigger has no token to rotate.")
            token = new_token()
            rows.change_trigger(conn, trigger_id, token_hash=token_hash(token), updated_at=row.now)
            rows.audit(conn, "rotated", tenant_id, row.agent_id, trigger_id, actor)
            return CreatedTrigger(get_view(conn, tenant_id, trigger_id), token)

    def preview(self, tenant_id: UUID, trigger_id: UUID, count: int) -> Preview:
        """Returns the next `count` fire times of a trigger, paused or not."""
        with self._db.begin() as conn:
            row = rows.read_trigger(conn, tenant_id, trigger_id)
        return preview(
            row.type,
            row.config,
            count=count,
            naive_ok=False,
            zone=row.zone,
            after=row.now,
            anchor=row.anchor_at,
            seed=trigger_id,
        )
