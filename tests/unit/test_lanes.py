"""Runs of a large job start only as fast as the event loop turns."""

from __future__ import annotations

import asyncio

import pytest

from scheduler.invocations.lanes import MOST_TURNS, SHORT_TURN_SECONDS, Lanes
from scheduler.storage.engine import Database


@pytest.mark.parametrize(
    ("turns", "expected"),
    [
        ([SHORT_TURN_SECONDS / 2], 1),
        ([SHORT_TURN_SECONDS * 2, SHORT_TURN_SECONDS * 2, 0.0], 3),
        ([1.0] * 100, MOST_TURNS),
    ],
)
def test_the_next_run_of_a_large_job_starts_after_a_short_turn(turns: list[float], expected: int) -> None:
    now, looks = 0.0, 0

    def clock() -> float:
        nonlocal now, looks
        looks += 1
        if looks % 2 == 0:  # the end of a turn
            now += turns[looks // 2 - 1]
        return now

    lanes = Lanes(Database("postgresql+psycopg://nowhere"), 3, clock)
    asyncio.run(lanes.start_next(is_small=False))
    lanes.close()
    assert looks == 2 * expected


def test_the_runs_of_a_small_job_start_in_one_turn() -> None:
    turns = 0

    async def start_two() -> int:
        def turn() -> None:
            nonlocal turns
            turns += 1

        asyncio.get_running_loop().call_soon(turn)
        for _ in range(2):
            await lanes.start_next(is_small=True)
        return turns

    lanes = Lanes(Database("postgresql+psycopg://nowhere"), 3)
    assert asyncio.run(start_two()) == 0
    lanes.close()
