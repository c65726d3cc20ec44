"""Records firings: each is written here once, with its window and its counters, in one transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import compress, count, repeat
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.exc import IntegrityError

from scheduler.domain.ids import new_id
from scheduler.domain.model import Trust
from scheduler.firings.duplicates import take_back_duplicates
from scheduler.firings.new_firing import LockedTrigger, NewFiring, Recorded, keep_paces, wake_at
from scheduler.metrics import FIRINGS, LATENESS, later
from scheduler.storage.arrays import array, id_array, text_array, time_array, unless_all_equal, uuid_array
from scheduler.storage.audit import Event, record_events
from scheduler.storage.engine import SOON, notify
from scheduler.storage.live import Change, notify_watchers
from scheduler.storage.pipelines import savepoint, send_along
from scheduler.storage.traces import keep_traceparents

OPEN_WINDOWS = text("""
    INSERT INTO invocations (id, tenant_id, agent_id, state, opened_at, due_at, firing_count)
    SELECT v.id, v.tenant_id, v.agent_id, 'collecting', :now, v.due_at, v.firing_count
    FROM unnest(CAST(:ids AS uuid[]), CAST(:tenant_ids AS uuid[]), CAST(:agent_ids AS uuid[]),
                CAST(:due_ats AS timestamptz[]), CAST(:counts AS int[]))
        AS v(id, tenant_id, agent_id, due_at, firing_count)
    ORDER BY v.agent_id
    ON CONFLICT (agent_id) WHERE state = 'collecting' DO UPDATE
    SET firing_count = invocations.firing_count + excluded.firing_count,
        -- A held window stays held: least() would wake it.
        due_at = CASE WHEN invocations.due_at IS NOT NULL THEN least(invocations.due_at, excluded.due_at) END
    RETURNING id, agent_id, due_at, firing_count
""")

CLOSE_FULL_WINDOWS = text("""
    UPDATE invocations SET due_at = :now WHERE id = ANY(CAST(:ids AS uuid[])) AND due_at IS NOT NULL
""")

DATAS = bindparam("datas", type_=ARRAY(JSONB(none_as_null=True)))

# Most firings leave most columns at their defaults; such a column is not sent, and `unnest` pads it with NULL.
_ARRAYS = """
    CAST(:ids AS uuid[]), CAST(:trigger_ids AS uuid[]), CAST(:keys AS text[]),
    CAST(:firsts AS timestamptz[]), CAST(:lasts AS timestamptz[]), CAST(:due_ats AS timestamptz[]),
    CAST(:counts AS int[]), CAST(:exacts AS bool[]), CAST(:content_types AS text[]), CAST(:payloads AS bytea[]),
    :datas, CAST(:trusts AS text[]), CAST(:invocation_ids AS uuid[]), CAST(:root_ids AS uuid[]), CAST(:depths AS int[])
"""
_NAMES = """
    firing_id, trigger_id, occurrence_key, first_scheduled_for, scheduled_for, due_at, slot_count, slots_exact,
    content_type, payload, data, trust, invocation_id, chain_root, chain_depth
"""
# A trigger that its agent created in a run belongs to that run's chain; the deeper position counts.
_INSERT = """
    INSERT INTO firings (id, tenant_id, agent_id, trigger_id, trigger_name, trigger_type, reason, focus_ref,
        occurrence_key, fired_at, first_scheduled_for, scheduled_for, due_at, slot_count, slots_exact,
        content_type, payload, data, trust, invocation_id, root_id, depth)
    SELECT firing_id, tenant_id, agent_id, trigger_id, name, type, reason, focus_ref,
        occurrence_key, :now, first_scheduled_for, scheduled_for, due_at, coalesce(slot_count, 1),
        coalesce(slots_exact, true), content_type, payload, data, coalesce(trust, 'system'), invocation_id,
        CASE WHEN coalesce(chain_depth, 0) < depth THEN coalesce(root_id, firing_id)
            ELSE coalesce(chain_root, root_id, firing_id) END,
        greatest(chain_depth, depth)
"""
INSERT = f"{_INSERT} FROM unnest({_ARRAYS}) AS v({_NAMES}) JOIN triggers t ON t.id = v.trigger_id"
INSERT_FIRINGS = text(INSERT).bindparams(DATAS)
# ON CONFLICT looks up every row twice, a fifth of a pass; so it is only used after a conflict.
INSERT_NEW_FIRINGS = text(f"{INSERT} ON CONFLICT (trigger_id, occurrence_key) DO NOTHING").bindparams(DATAS)


_COUNT = """
    UPDATE triggers t
    SET fire_count = t.fire_count + v.fires, last_fired_at = :now, last_wake_at = v.wake_at,
        is_enabled = NOT v.exhausted, paused_note = CASE WHEN v.exhausted THEN 'max_fires' END
"""
COUNT_TRIGGERS = text(f"""
    {_COUNT}
    FROM unnest(CAST(:counted AS uuid[]), CAST(:fires AS int[]), CAST(:wakes AS timestamptz[]),
            CAST(:exhausted AS bool[])) AS v(id, fires, wake_at, exhausted)
    WHERE t.id = v.id
""")
RECORD_ONCE_EACH = text(f"""
    WITH counted AS (
        {_COUNT}
        FROM unnest({_ARRAYS}, CAST(:fires AS int[]), CAST(:wakes AS timestamptz[]), CAST(:exhausted AS bool[]))
            AS v({_NAMES}, fires, wake_at, exhausted)
        WHERE t.id = v.trigger_id
        RETURNING v.*, t.tenant_id, t.agent_id, t.name, t.type, t.reason, t.focus_ref,
            t.root_id, t.depth
    )
    {_INSERT}
    FROM counted
""").bindparams(DATAS)
"""Both at once when each trigger has one firing: each row is looked up once."""


def record_firings(conn: Connection, firings: Sequence[NewFiring], *, announce: bool = True) -> Recorded:
    """Records `firings`, which have passed their gates, in the caller's transaction, which has locked their
    triggers.

    `announce` wakes the schedulers at commit when a window closes soon.
    """
    return Batch(firings).record(conn, announce=announce)


@dataclass(slots=True)
class _Opening:
    """What the firings of one agent require of its window; `trigger` is any of them, for the agent's settings."""

    trigger: LockedTrigger
    due_at: datetime
    count: int = 1


@dataclass(frozen=True, slots=True)
class _Window:
    """The collecting invocation that a firing joins."""

    id: UUID
    raw_id: bytes
    due_at: datetime | None


class Batch:
    """Firings to record together.

    Creating one needs no database: a pass prepares its own while the previous one is written. Internally ids are
    bytes: they cache their hash, compare in C (unlike UUID), and are sent as they are.
    """

    def __init__(self, firings: Sequence[NewFiring]) -> None:
        self.firings = firings
        if not firings:
            return
        self._now = max([firing.trigger.read_at for firing in firings])
        self._trigger_ids = [firing.trigger.id.bytes for firing in firings]
        self._agent_ids = [firing.trigger.agent_id.bytes for firing in firings]
        self._counting = _CounterIncrease(self._now, firings, self._trigger_ids)
        self._openings = self._windows_to_open()
        self._window_values = {
            "now": self._now,
            "ids": uuid_array([new_id() for _ in self._openings]),
            "tenant_ids": uuid_array([opening.trigger.tenant_id for opening in self._openings.values()]),
            "agent_ids": id_array(self._openings),
            "due_ats": time_array([opening.due_at for opening in self._openings.values()]),
            "counts": array([opening.count for opening in self._openings.values()]),
        }
        self._firing_values = {
            "now": self._now,
            "ids": uuid_array([firing.id for firing in firings]),
            "trigger_ids": id_array(self._trigger_ids),
            "keys": text_array([firing.occurrence_key for firing in firings]),
            "firsts": time_array([firing.first_scheduled_for for firing in firings]),
            "lasts": time_array([firing.scheduled_for for firing in firings]),
            "due_ats": unless_all_equal([firing.due_at for firing in firings], None),
            "counts": unless_all_equal([firing.slot_count for firing in firings], 1),
            "exacts": unless_all_equal([firing.slots_exact for firing in firings], True),
            "content_types": unless_all_equal([firing.content_type for firing in firings], None),
            "payloads": unless_all_equal([firing.payload for firing in firings], None),
            "datas": unless_all_equal([firing.data for firing in firings], None),
            "trusts": [
                trust.value for trust in unless_all_equal([firing.trust for firing in firings], Trust.SYSTEM)
            ],
            "root_ids": unless_all_equal([firing.root_id for firing in firings], None),
            "depths": unless_all_equal([firing.depth for firing in firings], 0),
        }

    def record(self, conn: Connection, *, announce: bool = True) -> Recorded:
        """Writes the batch: windows first, since firings refer to their invocation; counters last, since only new
        firings count.
        """
        if not self.firings:
            return Recorded((), {}, frozenset(), None)
        by_agent = self._open_windows(conn)
        windows = [by_agent[agent_id] for agent_id in self._agent_ids]
        counting, duplicates = self._insert_and_count(conn, windows)
        later(conn, lambda: self._tally(duplicates))
        traced = {each.id: each.traceparent for each in self.firings if each.traceparent is not None}
        keep_traceparents(conn, {id_: text for id_, text in traced.items() if id_ not in duplicates})
        keep_paces(conn, self._now, self._own_wakes(windows))
        next_due = min((window.due_at for window in by_agent.values() if window.due_at), default=None)
        if announce and next_due is not None and next_due <= self._now + SOON:
            notify(conn)
        tenants = {opening.trigger.tenant_id for opening in self._openings.values()}
        notify_watchers(conn, [Change(tenant_id, "firing") for tenant_id in tenants])
        carried = [(firing, window.id) for firing, window in zip(self.firings, windows, strict=True)]
        return Recorded(carried, duplicates, frozenset(trigger.id for trigger in counting.exhausted), next_due)

    def _tally(self, duplicates: Mapping[UUID, UUID]) -> None:
        """Counts the firings by kind, and how late those are that had a time."""
        outcomes = Counter([(each.trigger.type, each.id in duplicates) for each in self.firings])
        for (kind, is_duplicate), number in outcomes.items():
            FIRINGS.labels(kind, "duplicate" if is_duplicate else "recorded").inc(number)
        for each in self.firings:
            due_at = each.due_at or each.scheduled_for
            if due_at is not None and each.id not in duplicates:
                LATENESS.observe((self._now - due_at).total_seconds())

    def _own_wakes(self, windows: Sequence[_Window]) -> dict[LockedTrigger, datetime]:
        """Returns when each agent is woken by one of its own triggers in this batch."""
        own = {
            firing.trigger.agent_id: (firing.trigger, window.due_at or self._now)
            for firing, window in zip(self.firings, windows, strict=True)
            if firing.trigger.is_paced and not firing.ignore_pace
        }
        return dict(own.values())

    def _windows_to_open(self) -> dict[bytes, _Opening]:
        """Returns the window that each agent needs. A due time may only move earlier."""
        openings: dict[bytes, _Opening] = {}
        for agent_id, firing in zip(self._agent_ids, self.firings, strict=True):
            due_at = wake_at(firing, self._now)
            opening = openings.get(agent_id)
            if opening is None:
                openings[agent_id] = _Opening(firing.trigger, due_at)
            else:
                opening.due_at = min(opening.due_at, due_at)
                opening.count += 1
        return openings

    def _open_windows(self, conn: Connection) -> dict[bytes, _Window]:
        """Opens or joins each agent's window, and closes those that are full now."""
        opened = send_along(conn, OPEN_WINDOWS, **self._window_values).all()
        rows = [(id_, agent_id.bytes, *rest) for id_, agent_id, *rest in opened]
        full = {id_ for id_, agent_id, _, count in rows if count >= self._openings[agent_id].trigger.max_batch}
        if full:
            conn.execute(CLOSE_FULL_WINDOWS, {"ids": list(full), "now": self._now})
        return {
            agent_id: _Window(id_, id_.bytes, self._now if due_at is not None and id_ in full else due_at)
            for id_, agent_id, due_at, _ in rows
        }

    def _insert_and_count(
        self, conn: Connection, windows: Sequence[_Window]
    ) -> tuple[_CounterIncrease, dict[UUID, UUID]]:
        """Inserts what is new and returns, for the rest, firing id to the id of the earlier firing."""
        counting, duplicates = self._counting, {}
        values = self._firing_values | {"invocation_ids": id_array([window.raw_id for window in windows])}
        try:
            with savepoint(conn):
                if counting.is_once_each:
                    send_along(conn, RECORD_ONCE_EACH, **values | counting.values(windows))
                else:
                    send_along(conn, INSERT_FIRINGS, **values)
                    send_along(conn, COUNT_TRIGGERS, **counting.values(windows))
        except IntegrityError as error:
            if "uq_firings_occurrence" not in str(error.orig):
                raise
            conn.execute(INSERT_NEW_FIRINGS, values)
            duplicates = take_back_duplicates(conn, self.firings, [window.id for window in windows])
            new = [firing.id not in duplicates for firing in self.firings]
            counting = _CounterIncrease(self._now, self.firings, self._trigger_ids, new)
            conn.execute(COUNT_TRIGGERS, counting.values(windows))
        record_events(conn, [_exhausted_event(trigger) for trigger in counting.exhausted])
        return counting, duplicates


class _CounterIncrease:
    """How much to add to each trigger's counter."""

    def __init__(
        self,
        now: datetime,
        firings: Sequence[NewFiring],
        trigger_ids: Sequence[bytes],
        counted: Iterable[bool] = repeat(True),
    ) -> None:
        """`trigger_ids` and `counted` are parallel to `firings`."""
        fires = Counter(compress(trigger_ids, counted))
        last = dict(compress(zip(trigger_ids, count()), counted))
        self._now, self._last = now, list(last.values())
        triggers = [firings[place].trigger for place in self._last]
        spent = [
            trigger.max_fires is not None and trigger.fire_count + fires[trigger_id] >= trigger.max_fires
            for trigger_id, trigger in zip(last, triggers, strict=True)
        ]
        self.is_once_each = len(last) == len(firings)
        self.exhausted = list(compress(triggers, spent))
        """Those that may fire no more."""
        self._values = {
            "counted": id_array(last),
            "fires": array([fires[trigger_id] for trigger_id in last]),
            "exhausted": array(spent),
        }

    def values(self, windows: Sequence[_Window]) -> dict[str, Any]:
        """Returns the parameters of COUNT_TRIGGERS; `windows` is parallel to the firings too."""
        wakes = [windows[place].due_at or self._now for place in self._last]
        return self._values | {"now": self._now, "wakes": time_array(wakes)}


def _exhausted_event(trigger: LockedTrigger) -> Event:
    return Event("trigger.finished", trigger.tenant_id, trigger.id, trigger.agent_id, detail={"why": "max_fires"})
