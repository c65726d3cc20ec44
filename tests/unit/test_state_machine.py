"""The transitions of an invocation: which exist, and that no others are made."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest

from scheduler.domain.errors import Conflict
from scheduler.domain.model import ACTIVE_STATES, FINAL_STATES, MOVES, InvocationState
from scheduler.domain.retries import MAX_TRIES, SPREAD, is_last_try, retry_delay
from scheduler.invocations.transitions import FIRING_STATES, check_move

PAIRS = list(itertools.product(InvocationState, InvocationState))
DRAWN = {
    ("collecting", "ready"),
    ("collecting", "skipped"),
    ("collecting", "cancelled"),
    ("ready", "running"),
    ("ready", "retrying"),
    ("ready", "dead"),
    ("ready", "skipped"),
    ("ready", "cancelled"),
    ("running", "awaiting"),
    ("running", "retrying"),
    ("running", "succeeded"),
    ("running", "dead"),
    ("running", "skipped"),
    ("running", "cancelled"),
    ("awaiting", "retrying"),
    ("awaiting", "succeeded"),
    ("awaiting", "dead"),
    ("awaiting", "cancelled"),
    ("retrying", "ready"),
    ("retrying", "dead"),
    ("retrying", "skipped"),
    ("retrying", "cancelled"),
}


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_exactly_the_moves_that_are_drawn_are_allowed(source: InvocationState, target: InvocationState) -> None:
    if (source.value, target.value) in DRAWN:
        check_move(source, target)
    else:
        with pytest.raises(Conflict, match=f"is {source}: it cannot become {target}"):
            check_move(source, target)


def test_every_state_is_reached_and_every_end_is_final() -> None:
    reached = {target for targets in MOVES.values() for target in targets}
    assert reached == set(InvocationState) - {InvocationState.COLLECTING}
    assert all(not MOVES[state] for state in FINAL_STATES)
    assert set(FIRING_STATES) == FINAL_STATES
    assert not ACTIVE_STATES & FINAL_STATES


def test_waits_grow_threefold_from_five_seconds_up_to_five_minutes() -> None:
    assert [retry_delay(failed, None, 0.0) for failed in range(1, 7)] == [5, 15, 45, 135, 300, 300]


def test_waits_spread_by_a_fifth_so_that_what_failed_together_does_not_return_together() -> None:
    assert retry_delay(1, None, -SPREAD) == pytest.approx(4)
    assert retry_delay(1, None, SPREAD) == pytest.approx(6)
    assert retry_delay(MAX_TRIES, None, SPREAD) == 300


@pytest.mark.parametrize(
    ("asked", "waited"), [(0.0, 5.5), (-5.0, 5.5), (1.0, 5.5), (7.5, 7.5), (900.0, 900.0), (1e9, 3600.0)]
)
def test_what_an_agent_asks_to_wait_is_the_least_within_an_hour(asked: float, waited: float) -> None:
    assert retry_delay(1, asked, 0.1) == waited


def test_a_wait_that_was_asked_for_never_shortens_the_back_off() -> None:
    assert [retry_delay(failed, 1.0, 0.0) for failed in range(1, 8)] == [5, 15, 45, 135, 300, 300, 300]


@pytest.mark.parametrize(
    ("counted", "hours", "was_put_off", "is_last"),
    [(3, 0, False, False), (4, 0, False, True), (4, 5.9, True, False), (4, 6, True, True), (0, 6, True, False)],
)
def test_tries_that_were_put_off_do_not_count_for_six_hours(
    counted: int, hours: float, was_put_off: bool, is_last: bool
) -> None:
    assert is_last_try(counted, timedelta(hours=hours), was_put_off=was_put_off) is is_last
