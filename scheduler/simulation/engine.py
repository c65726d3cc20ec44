"""Runs a plan, event by event."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import IntEnum
from itertools import count
from uuid import UUID

from scheduler.domain.budgets import HOUR, WIDENED, Budget, Owner, Spending, day_in, freed_last, is_in_no_hurry
from scheduler.firings.new_firing import LockedTrigger, NewFiring, gate, wake_at
from scheduler.firings.slots import decide_due, first_slot_after
from scheduler.simulation.shapes import (
    Account,
    AgentPlan,
    Figures,
    Outcome,
    Plan,
    TooManyEvents,
    TriggerPlan,
    Wake,
    Window,
)

MAX_EVENTS = 150_000
NO_ID = UUID(int=0)


class _EventOrder(IntEnum):
    """Events at the same moment happen in this order: what is due is recorded before windows close."""

    SLOT = 0
    ARRIVAL = 1
    END = 2
    FREED = 3
    DUE = 4


class _Agent:
    """An agent on its way through time."""

    def __init__(self, plan: AgentPlan) -> None:
        self.plan = plan
        self.figures = Figures()
        self.account = Account(plan.limits)
        self.window: Window | None = None
        self.is_running = False
        self.paced_at: datetime | None = None


def simulate(plan: Plan) -> Outcome:
    """Runs a plan. Raises TooManyEvents when it has more than MAX_EVENTS events."""
    return _Simulation(plan).run()


class _Simulation:
    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._agents = {each.id: _Agent(each) for each in plan.agents}
        self._triggers = {each.trigger.id: each for each in plan.triggers}
        self._state: dict[UUID, LockedTrigger] = {each.trigger.id: each.trigger for each in plan.triggers}
        self._tenant = Account(plan.tenant)
        self._events: list[tuple[datetime, _EventOrder, int, UUID]] = []
        self._numbers = count()
        self._outcome = Outcome(
            agents={id_: each.figures for id_, each in self._agents.items()},
            firings=dict.fromkeys(self._triggers, 0),
        )

    def run(self) -> Outcome:
        """Handles every event in its order."""
        for trigger in self._plan.triggers:
            self._begin(trigger)
        handled = 0
        while self._events and self._events[0][0] < self._plan.end:
            now = self._events[0][0]
            firings: dict[UUID, list[NewFiring]] = defaultdict(list)
            while self._events and self._events[0][0] == now and self._events[0][1] <= _EventOrder.ARRIVAL:
                _, what, _, id_ = heapq.heappop(self._events)
                handled += 1
                for firing in self._fired(id_, now, what):
                    firings[firing.trigger.agent_id].append(firing)
            for agent_id, each in firings.items():
                self._record(self._agents[agent_id], each, now)
            if self._events and self._events[0][0] == now and self._events[0][1] > _EventOrder.ARRIVAL:
                _, what, _, id_ = heapq.heappop(self._events)
                handled += 1
                self._move(self._agents[id_], what, now)
            if handled > MAX_EVENTS:
                raise TooManyEvents(
                    f"There are more than {MAX_EVENTS:,} events until {now.isoformat()}; simulate fewer days.",
                    field="days",
                )
        for agent in self._agents.values():
            agent.figures.waiting = len(agent.window.firings) if agent.window else 0
        return self._outcome

    def _push(self, at: datetime | None, what: _EventOrder, id_: UUID) -> None:
        if at is not None and at < self._plan.end:
            heapq.heappush(self._events, (at, what, next(self._numbers), id_))

    def _begin(self, trigger: TriggerPlan) -> None:
        id_ = trigger.trigger.id
        for at in trigger.arrivals:
            if at >= self._plan.start:
                self._push(at, _EventOrder.ARRIVAL, id_)
        if trigger.is_timed and trigger.trigger.is_enabled:
            self._push(
                first_slot_after(trigger.trigger, trigger.definition, self._plan.start), _EventOrder.SLOT, id_
            )

    def _fired(self, id_: UUID, now: datetime, what: _EventOrder) -> Sequence[NewFiring]:
        """Returns the firings of a slot or an arrival, and goes on to the next slot."""
        agent = self._agents[self._state[id_].agent_id]
        state = self._state[id_]._replace(read_at=now, paced_at=agent.paced_at)
        if gate(state, now) is not None:
            return ()
        if what is _EventOrder.ARRIVAL:
            return (NewFiring(state, str(next(self._numbers)), id=NO_ID),)
        decided = decide_due(state, self._triggers[id_].definition, now)
        self._push(decided.next_run_time, _EventOrder.SLOT, id_)
        return decided.firings

    def _record(self, agent: _Agent, firings: Sequence[NewFiring], now: datetime) -> None:
        """Lets firings join the agent's window, as a pass or an intake does."""
        due_at = min(wake_at(each, now) for each in firings)
        window = agent.window
        if window is None:
            window = agent.window = Window(now, due_at)
        elif window.due_at is not None:
            window.due_at = min(window.due_at, due_at)
        window.firings += firings
        window.times += [now] * len(firings)
        agent.figures.firings += len(firings)
        if window.due_at is not None and len(window.firings) >= firings[0].trigger.max_batch:
            window.due_at = now
        for each in firings:
            self._count(agent, each, window.due_at or now)
        self._push(window.due_at, _EventOrder.DUE, agent.plan.id)

    def _count(self, agent: _Agent, firing: NewFiring, woken_at: datetime) -> None:
        state = self._state[firing.trigger.id]
        self._outcome.firings[state.id] += 1
        self._state[state.id] = state._replace(fire_count=state.fire_count + 1, last_wake_at=woken_at)
        if state.is_paced:
            agent.paced_at = woken_at

    def _move(self, agent: _Agent, what: _EventOrder, now: datetime) -> None:
        window = agent.window
        if what is _EventOrder.END:
            agent.is_running = False
            self._spend(agent, now)
            if window is not None and window.is_busy:
                window.is_busy, window.due_at = False, now
                self._push(now, _EventOrder.DUE, agent.plan.id)
        elif what is _EventOrder.FREED and window is not None and window.due_at is None and not window.is_busy:
            window.due_at = now
            self._push(now, _EventOrder.DUE, agent.plan.id)
        elif what is _EventOrder.DUE and window is not None and window.due_at is not None and window.due_at <= now:
            self._close(agent, window, now)

    def _close(self, agent: _Agent, window: Window, now: datetime) -> None:
        """Closes a due window, unless the agent is paused or busy or a budget has a say."""
        if agent.plan.is_paused:
            window.due_at = None
            return
        if agent.is_running:
            window.due_at, window.is_busy = None, True
            return
        spendings = [
            *self._spendings(agent.account, Owner.AGENT, now),
            *self._spendings(self._tenant, Owner.TENANT, now),
        ]
        spent = freed_last(spendings)
        if spent is not None:
            window.due_at = None
            agent.figures.held += 1
            self._push(spent.frees_at, _EventOrder.FREED, agent.plan.id)
        elif self._may_wait(window, now) and is_in_no_hurry(spendings):
            window.due_at = window.opened_at + WIDENED
            self._push(window.due_at, _EventOrder.DUE, agent.plan.id)
        else:
            self._wake(agent, window, now)

    @staticmethod
    def _may_wait(window: Window, now: datetime) -> bool:
        is_full = len(window.firings) >= window.firings[0].trigger.max_batch
        is_urgent = any(each.trigger.urgent for each in window.firings)
        return now < window.opened_at + WIDENED and not is_full and not is_urgent

    def _wake(self, agent: _Agent, window: Window, now: datetime) -> None:
        """Wakes the agent with the oldest firings, as many as may leave; the others stay, due now."""
        size = window.firings[0].trigger.max_batch
        carried = [
            (each.trigger.id, at) for each, at in zip(window.firings[:size], window.times[:size], strict=True)
        ]
        self._outcome.wakes.append(Wake(agent.plan.id, now, carried))
        figures = agent.figures
        figures.wakes += 1
        figures.largest = max(figures.largest, len(carried))
        waits = [now - at for _, at in carried]
        figures.longest_wait = max(figures.longest_wait, *waits)
        figures.waited += sum(waits, timedelta())
        for account in (agent.account, self._tenant):
            account.readied.append(now)
        agent.is_running = True
        self._push(now + agent.plan.usage.run, _EventOrder.END, agent.plan.id)
        window.firings, window.times = window.firings[size:], window.times[size:]
        if window.firings:
            window.opened_at = window.due_at = now
            self._push(now, _EventOrder.DUE, agent.plan.id)
        else:
            agent.window = None

    def _spend(self, agent: _Agent, now: datetime) -> None:
        usage = agent.plan.usage
        agent.figures.tokens += usage.tokens
        agent.figures.cost += usage.cost
        today, _ = day_in(agent.plan.limits.zone, now)
        for account in (agent.account, self._tenant):
            account.tokens[today] = account.tokens.get(today, 0.0) + usage.tokens

    def _spendings(self, account: Account, owner: Owner, now: datetime) -> list[Spending]:
        """Returns the limited budgets of an agent or the tenant, and what is spent of them."""
        found = []
        limits = account.limits
        while account.readied and account.readied[0] <= now - HOUR:
            account.readied.popleft()
        if limits.invocations_per_hour is not None:
            used, limit = len(account.readied), limits.invocations_per_hour
            oldest = account.readied[-min(limit, used)] if used else now
            found.append(Spending(owner, NO_ID, Budget.INVOCATIONS, limit, used, oldest + HOUR))
        if limits.tokens_per_day is not None:
            today, ends_at = day_in(limits.zone, now)
            used = int(account.tokens.get(today, 0.0))
            found.append(Spending(owner, NO_ID, Budget.TOKENS, limits.tokens_per_day, used, ends_at))
        return found
