"""Large work waits while small work is in progress, but not forever."""

from __future__ import annotations

import asyncio

import pytest

from scheduler.domain.right_of_way import LONGEST_WAIT, REST, STEP_SECONDS, RightOfWay


class Way(RightOfWay):
    """A right of way whose clock moves on when large work waits."""

    def __init__(self) -> None:
        self.time = 100.0
        super().__init__(lambda: self.time, self.wait)

    def wait(self, seconds: float) -> None:
        """Moves the clock on."""
        self.time += seconds

    def waited(self) -> float:
        """Gives the right of way; returns how long that took."""
        began = self.time
        self.give()
        return self.time - began


def test_large_work_does_not_wait_when_there_is_no_small_work() -> None:
    assert Way().waited() == 0


def test_large_work_waits_until_the_last_small_work_has_had_its_time() -> None:
    way = Way()
    way.take(0.03)
    way.take(0.01)
    assert way.waited() == pytest.approx(0.03, abs=STEP_SECONDS)
    assert way.waited() == 0


def test_small_work_without_end_slows_large_work_by_two_thirds_at_most() -> None:
    way = Way()
    waiting = 0.0
    began = way.time
    while way.time < began + 10:
        way.take(60)
        waiting += way.waited()
        way.time += 0.01
    assert waiting == pytest.approx(10 / (1 + REST), rel=0.15)


def test_one_wait_is_bounded() -> None:
    way = Way()
    way.take(60)
    assert way.waited() == pytest.approx(LONGEST_WAIT, abs=2 * STEP_SECONDS)


def test_work_on_an_event_loop_waits_too_and_leaves_the_loop_to_others() -> None:
    way = RightOfWay()
    order = []

    async def large() -> None:
        await way.give_on_loop()
        order.append("large")

    async def small() -> None:
        order.append("small")

    async def run() -> None:
        way.take(0.05)
        await asyncio.gather(large(), small())

    asyncio.run(run())
    assert order == ["small", "large"]
