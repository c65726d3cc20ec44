"""Full passes beside other tenants are short."""

from __future__ import annotations

from scheduler.clock.ledger_pass import FEWEST_ROWS, FIRST_ROWS, SHORT_SECONDS, Pace

MOST = 4000


class Passes:
    """A pace, and a clock that each pass moves on."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pace = Pace(MOST, lambda: self.now)

    def full(self, seconds: float, *, has_neighbours: bool = True) -> int:
        """Runs a full pass of that length; returns the rows of the next."""
        self.pace.begin()
        self.now += seconds
        self.pace.end(self.pace.rows, is_full=True, has_neighbours=has_neighbours)
        return self.pace.rows


def test_passes_beside_neighbours_take_the_short_time_whatever_a_row_costs() -> None:
    for cost in (0.00005, 0.0001, 0.0004):
        passes = Passes()
        for _ in range(10):
            passes.full(passes.pace.rows * cost)
        assert passes.pace.rows == round(SHORT_SECONDS / cost)


def test_a_pass_that_was_held_up_only_halves_the_next_and_one_is_never_tiny() -> None:
    passes = Passes()
    assert passes.full(60) == FIRST_ROWS // 2
    for _ in range(10):
        passes.full(60)
    assert passes.pace.rows == FEWEST_ROWS


def test_a_pass_may_take_all_that_is_allowed_where_nobody_waits_for_it() -> None:
    passes = Passes()
    assert passes.full(60, has_neighbours=False) == MOST
    assert passes.full(60, has_neighbours=False) == MOST
    passes.pace.end(10, is_full=False, has_neighbours=False)
    assert passes.pace.rows == FIRST_ROWS, "the next burst begins with a short pass"


def test_a_store_of_small_passes_begins_with_one() -> None:
    assert Pace(50, lambda: 0.0).rows == 50
