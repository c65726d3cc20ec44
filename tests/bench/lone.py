"""Measures the CPU of a wake that is alone, against one of many that are due at one moment.

In one service, by turns, the same triggers are due one after another, at one moment, and not at all; what the service
uses when nothing is due is subtracted. `python -m tests.bench.lone SECONDS ROUNDS` runs only this.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from tests.bench.due_to_called import called
from tests.bench.soak_service import AGENTS, Mode, Service, service

SECONDS, ROUNDS = 10.0, 2
SETTLE_SECONDS = 3.0
"""From when the triggers are moved until it is measured."""


class Turn(StrEnum):
    """How the triggers are due."""

    ALONE = "alone"
    TOGETHER = "together"
    IDLE = "idle"


SPACING: Mapping[Turn, float | None] = {Turn.ALONE: 1 / AGENTS, Turn.TOGETHER: 0.0, Turn.IDLE: None}


@dataclass(slots=True)
class Used:
    """The CPU of a turn, in seconds, over all rounds."""

    service: float = 0.0
    """That of the web server and the worker."""
    database: float = 0.0
    wakes: int = 0
    seconds: float = 0.0

    def add(self, one: Service, seconds: float) -> None:
        """Measures for so long."""
        before, began = one.sample(), time.monotonic()
        time.sleep(seconds)
        service, database, wakes = (late - early for early, late in zip(before, one.sample(), strict=True))
        self.service += service
        self.database += database
        self.wakes += int(wakes)
        self.seconds += time.monotonic() - began


@dataclass(frozen=True, slots=True)
class WakeCost:
    """The CPU of one wake beyond that of an idle service, in milliseconds."""

    service: float
    database: float


def lone(seconds: float = SECONDS, rounds: int = ROUNDS) -> dict[Turn, WakeCost]:
    """Measures what a wake costs alone and together with the others."""
    used = {turn: Used() for turn in Turn}
    with tempfile.TemporaryDirectory(prefix="reveille-bench-") as name:
        directory = Path(name)
        with called(directory) as (port, _), service(directory / "service", receiver="") as one:
            one.make_agents(f"http://127.0.0.1:{port}/run")
            one.start(Mode.OFF)
            one.wait_ready()
            for _ in range(rounds):
                for turn in Turn:
                    one.space(SPACING[turn])
                    time.sleep(SETTLE_SECONDS)
                    used[turn].add(one, seconds)
            one.stop()
    idle = used.pop(Turn.IDLE)
    return {
        turn: WakeCost(
            (spent.service - idle.service * spent.seconds / idle.seconds) * 1000 / spent.wakes,
            (spent.database - idle.database * spent.seconds / idle.seconds) * 1000 / spent.wakes,
        )
        for turn, spent in used.items()
    }


def main(arguments: list[str]) -> int:
    """Prints the figures."""
    seconds = float(arguments[0]) if arguments else SECONDS
    rounds = int(arguments[1]) if len(arguments) > 1 else ROUNDS
    for turn, cost in lone(seconds, rounds).items():
        print(f"{turn:<8} {cost.service:.2f} ms, PostgreSQL {cost.database:.2f} ms")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
