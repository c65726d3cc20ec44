"""Random sequences of trigger operations, compared with a model: nothing fires twice, late or unnoticed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Connection, text

from scheduler.domain.errors import Conflict, NotFound
from scheduler.domain.ids import new_id
from scheduler.domain.model import MisfirePolicy
from scheduler.domain.run import Replied
from scheduler.manage.triggers.jobs import delete_agent_triggers, rezone_agent
from scheduler.manage.triggers.service import Triggers
from scheduler.manage.triggers.spec import TriggerSpec
from scheduler.storage.drift import find_drift
from scheduler.storage.engine import Database
from scheduler.storage.read_models.triggers import TriggerView
from tests.support.database import change, rows
from tests.support.factories import BOX, DEFAULT_TENANT, make_agent
from tests.support.invocations import end, start
from tests.support.stepped_scheduler import SteppedScheduler
from tests.support.trigger_model import CONFIGS, COUNTED, ENDS, EXPIRE, MAKE_DUE, WINDOWS, Expected, step_of

ACTOR = "test"
IN_AGES = datetime(2999, 1, 1, tzinfo=UTC)
KINDS = [*CONFIGS, "interval", "interval"]
"""Intervals are the most interesting: several slots may pass at once."""

picks = st.integers(0, 99)
limits = st.sampled_from([None, None, None, 0, 1, 2, 5])


class LifeCycle(RuleBasedStateMachine):
    """Two agents: one is woken at once by few firings at a time, one collects them."""

    def __init__(self, db: Database, scheduler: SteppedScheduler) -> None:
        super().__init__()
        self.db = db
        self.scheduler = scheduler
        self.triggers = Triggers(db, BOX)
        self.expected: list[Expected] = []

    @initialize(
        policies=st.lists(st.sampled_from(list(MisfirePolicy)), min_size=len(KINDS), max_size=len(KINDS)),
        max_fires=limits,
    )
    def begin(self, policies: list[str], max_fires: int | None) -> None:
        """Creates agents with a trigger of each kind."""
        self.agents = [
            make_agent(self.db, new_id().hex, dedup_delay_seconds=0, max_batch=2),
            make_agent(self.db, new_id().hex),
        ]
        for number, (kind, policy) in enumerate(zip(KINDS, policies, strict=True)):
            self.create(number % 2, kind, number, policy, max_fires)

    @rule(
        agent=st.integers(0, 1),
        kind=st.sampled_from(KINDS),
        number=st.integers(0, 2),
        policy=st.sampled_from(list(MisfirePolicy)),
        max_fires=limits,
    )
    def create(self, agent: int, kind: str, number: int, policy: str, max_fires: int | None) -> None:
        config = CONFIGS[kind][number % len(CONFIGS[kind])]
        spec = TriggerSpec(
            new_id().hex, kind, config, max_fires=max_fires, misfire_policy=policy, cooldown_seconds=0
        )
        made = self.triggers.create(DEFAULT_TENANT, self.agents[agent], spec, actor=ACTOR).trigger
        one = Expected(made.id, kind, policy, max_fires)
        if config.get("allow_past"):
            one.is_last, one.is_late, one.passed = True, True, 1
        if max_fires == 0:
            one.end("max_fires")
        self.expected.append(one)

    @precondition(lambda self: self._waiting())
    @rule(
        pick=picks, missed=st.integers(0, 3), is_last=st.sampled_from([False, False, True]), is_seen=st.booleans()
    )
    def come_due(self, pick: int, missed: int, is_last: bool, is_seen: bool) -> None:
        """Makes a waiting trigger due, an interval perhaps several times; `is_seen` by a pass at once."""
        one = self._pick(pick, lambda each: each.kind == "interval", self._waiting())
        is_last = is_last or one.kind == "once"
        step = step_of(self.triggers.get(DEFAULT_TENANT, one.id).config)
        missed = missed if one.kind == "interval" else 0
        ago = (missed + 0.5) * step if missed else 0.0
        field = "" if not is_last else "at" if one.kind == "once" else "until"
        change(self.db, MAKE_DUE, id=one.id, ago=ago, step=step, field=field)
        one.passed, one.is_late, one.is_last = missed + 1, bool(missed), is_last
        if is_seen:
            self.scheduler_looks()

    @rule()
    def scheduler_looks(self) -> None:
        self.scheduler.run_pass()
        for one in self.expected:
            one.see_pass()

    @rule(pick=picks, times=st.integers(1, 3))
    def fire(self, pick: int, times: int) -> None:
        one = self._pick(pick, lambda each: each.is_enabled)
        for _ in range(times):
            if one.refusal():
                with pytest.raises(Conflict):
                    self.triggers.fire(DEFAULT_TENANT, one.id, actor=ACTOR)
            else:
                self.triggers.fire(DEFAULT_TENANT, one.id, actor=ACTOR)
                one.fire()

    @rule(pick=picks, number=st.integers(0, 1))
    def change_config(self, pick: int, number: int) -> None:
        one = self._pick(pick, lambda each: each.is_last or each.passed > 0)
        before = self.triggers.get(DEFAULT_TENANT, one.id).config
        config = CONFIGS[one.kind][number]
        self.triggers.update(DEFAULT_TENANT, one.id, {"config": dict.fromkeys(before) | config}, actor=ACTOR)
        one.settle()
        if before != config:
            one.begin_anew()
        one.end_if_done()

    @rule(pick=picks)
    def send_the_config_it_has(self, pick: int) -> None:
        one = self._pick(pick, lambda each: each.passed > 0)
        config = self.triggers.get(DEFAULT_TENANT, one.id).config
        self.triggers.update(DEFAULT_TENANT, one.id, {"config": config, "reason": "the same"}, actor=ACTOR)
        one.change()

    @rule(pick=picks, max_fires=limits)
    def change_max_fires(self, pick: int, max_fires: int | None) -> None:
        one = self._pick(pick, lambda each: each.is_enabled)
        self.triggers.update(DEFAULT_TENANT, one.id, {"max_fires": max_fires}, actor=ACTOR)
        one.limit(max_fires)

    @rule(pick=picks, expires=st.booleans())
    def change_expires_at(self, pick: int, expires: bool) -> None:
        one = self._pick(pick, lambda each: each.has_expired)
        self.triggers.update(DEFAULT_TENANT, one.id, {"expires_at": IN_AGES if expires else None}, actor=ACTOR)
        one.settle()
        one.has_expired = False
        one.end_if_done()

    @rule(pick=picks)
    def expire(self, pick: int) -> None:
        (one := self._pick(pick, lambda each: each.is_enabled)).has_expired = True
        change(self.db, EXPIRE, id=one.id)

    @rule(pick=picks, note=st.sampled_from([None, "quiet"]))
    def pause(self, pick: int, note: str | None) -> None:
        one = self._pick(pick, lambda each: each.passed > 0)
        self.triggers.pause(DEFAULT_TENANT, one.id, actor=ACTOR, note=note)
        if one.kind != "once":  # its slot returns when it is resumed
            one.settle()
        if one.is_enabled or note:
            one.end(note or "paused")

    @rule(pick=picks, patched=st.booleans())
    def resume(self, pick: int, patched: bool) -> None:
        one = self._pick(pick, lambda each: not each.is_enabled)

        def ask() -> None:
            if patched:
                self.triggers.update(DEFAULT_TENANT, one.id, {"is_enabled": True}, actor=ACTOR)
            else:
                self.triggers.resume(DEFAULT_TENANT, one.id, actor=ACTOR)

        if not one.is_enabled and one.resume_refusal():
            with pytest.raises(Conflict):
                ask()
        else:
            ask()
            if one.is_enabled and patched:
                one.change()
            else:
                one.resume()

    @rule(agent=st.integers(0, 1), zone=st.sampled_from(["UTC", "America/St_Johns", "Pacific/Kiritimati"]))
    def move_agent(self, agent: int, zone: str) -> None:
        zones = {view.id: view.timezone for view in self._views()}
        change(self.db, "UPDATE agents SET timezone = :zone WHERE id = :id", zone=zone, id=self.agents[agent])
        with self.db.begin() as conn:
            rezone_agent(conn, self.agents[agent])
        moved = {view.id for view in self._views() if view.timezone != zones[view.id]}
        for one in (each for each in self.expected if each.id in moved):
            one.move()

    @rule()
    def agents_answer(self) -> None:
        """Whatever they were woken with, their next window may close."""
        query = "SELECT id FROM invocations WHERE agent_id = ANY(:agents) AND state = 'ready'"
        for row in rows(self.db, query, agents=self.agents):
            assert end(self.db, start(self.db, row.id), Replied("done"))

    @precondition(lambda self: len(self._alive()) > 1)
    @rule(pick=picks)
    def delete(self, pick: int) -> None:
        one = self._pick(pick, lambda each: each.passed > 0)
        self.triggers.delete(DEFAULT_TENANT, one.id, actor=ACTOR)
        one.settle()
        with pytest.raises(NotFound):
            self.triggers.fire(DEFAULT_TENANT, one.id, actor=ACTOR)
        one.end("deleted")
        one.is_deleted = True

    @invariant()
    def all_is_as_the_model_says(self) -> None:
        with self.db.begin() as conn:
            self._triggers_are_as_expected()
            assert find_drift(conn) == []
            self._every_firing_is_recorded_once_for_the_slots_it_stands_for(conn)
            self._every_firing_is_in_one_invocation_and_counted_there(conn)
            self._an_end_is_audited_once(conn)

    def _triggers_are_as_expected(self) -> None:
        found = {view.id: view for view in self._views()}
        for one in self.expected:
            if one.is_deleted:
                assert one.id not in found
                continue
            view = found[one.id]
            assert (view.is_enabled, view.paused_note, view.fire_count) == (
                one.is_enabled,
                one.note,
                one.fire_count,
            )
            assert (view.next_fire_at is not None) == (one.is_enabled and one.has_job)
            assert view.max_fires == one.max_fires

    def _every_firing_is_recorded_once_for_the_slots_it_stands_for(self, conn: Connection) -> None:
        counted = conn.execute(text(COUNTED), {"ids": self._ids()})
        found = {row.trigger_id: (row.firings, row.slots) for row in counted}
        assert found == {one.id: (one.firings, one.slots) for one in self.expected if one.firings}

    def _every_firing_is_in_one_invocation_and_counted_there(self, conn: Connection) -> None:
        windows = conn.execute(text(WINDOWS), {"agents": self.agents}).all()
        for window in windows:
            assert window.firing_count == len(window.firings)
            assert window.state == "collecting" or set(window.firing_ids) == set(window.firings)
        assert sum(window.firing_count for window in windows) == sum(one.firings for one in self.expected)

    def _an_end_is_audited_once(self, conn: Connection) -> None:
        found = {(row.subject_id, row.verb): row.n for row in conn.execute(text(ENDS), {"ids": self._ids()})}
        assert found == {(one.id, event): n for one in self.expected for event, n in one.events.items()}

    def teardown(self) -> None:
        with self.db.begin() as conn:
            for agent in self.agents:
                delete_agent_triggers(conn, [agent], actor=ACTOR)

    def _views(self) -> list[TriggerView]:
        return self.triggers.list(DEFAULT_TENANT, limit=1000)

    def _alive(self) -> list[Expected]:
        return [one for one in self.expected if not one.is_deleted]

    def _waiting(self) -> list[Expected]:
        """Returns the enabled time triggers none of whose slots has passed."""
        return [one for one in self._alive() if one.is_enabled and one.has_slots and not one.passed]

    def _pick(
        self, pick: int, wanted: Callable[[Expected], bool], candidates: list[Expected] | None = None
    ) -> Expected:
        """Returns a trigger to act on: mostly one that is `wanted`, which is the most interesting."""
        candidates = candidates or self._alive()
        chosen = (pick % 4 and [one for one in candidates if wanted(one)]) or candidates
        return chosen[pick // 4 % len(chosen)]

    def _ids(self) -> list[UUID]:
        return [one.id for one in self.expected]


@pytest.mark.long
@pytest.mark.timeout(900)  # on a slow machine
def test_a_trigger_lives_as_the_model_says(db: Database, scheduler: SteppedScheduler) -> None:
    class Here(LifeCycle):
        def __init__(self) -> None:
            super().__init__(db, scheduler)

    # No Phase.shrink: it takes minutes on a database, and the steps of a failure are printed anyway. With CI=true
    # Hypothesis itself uses the same examples each time.
    phases = [Phase.explicit, Phase.reuse, Phase.generate]
    run_state_machine_as_test(
        Here, settings=settings(max_examples=25, stateful_step_count=30, deadline=None, phases=phases)
    )
