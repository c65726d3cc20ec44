"""What every peer is told, and what its job does: one line in a file for each run. Needs the standard library only."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

VARIABLE = "PEER_SPEC"


@dataclass(frozen=True)
class Spec:
    """One measurement of one peer."""

    log: str
    """The file that each run adds a line to."""
    database: str
    """The URL of an empty PostgreSQL database, `postgresql://…`."""
    redis: str
    """The URL of an empty Redis database."""
    slots: list[tuple[int, int]]
    """Each second at which so many schedules are due, on the minute."""
    work_seconds: float
    """How long a job takes."""
    is_first: bool
    """Whether schedules that are stored are to be made; else they are there from before."""
    load_seconds: float
    """How long making them may take at most."""

    def schedules(self) -> Iterator[tuple[str, datetime]]:
        """The name of each schedule, and when it is due, once."""
        for slot, count in self.slots:
            for number in range(count):
                yield f"{slot}-{number}", datetime.fromtimestamp(slot, UTC)

    def in_time(self) -> Iterator[tuple[str, datetime]]:
        """The same, as many as can be made in `load_seconds`."""
        started = time.monotonic()
        for count, schedule in enumerate(self.schedules()):
            if time.monotonic() - started > self.load_seconds:
                break
            yield schedule
            self.say(f"loaded {count + 1}") if count % 1000 == 999 else None
        self.say("loaded all")

    def say(self, words: str) -> None:
        """Tell the bench how far it is."""
        print(words, flush=True)  # noqa: T201


def read_spec() -> Spec:
    """The measurement that this process is part of."""
    fields: dict[str, Any] = json.loads(os.environ[VARIABLE])  # noqa: TID251  # other interpreters
    fields["slots"] = [tuple(each) for each in fields["slots"]]
    return Spec(**fields)


def work(name: str) -> None:
    """The job: note that it ran, and when. A line this short is written whole."""
    spec = read_spec()
    line = f"{name} {time.time()}\n".encode()
    if spec.work_seconds:
        time.sleep(spec.work_seconds)
    with open(spec.log, "ab", buffering=0) as file:  # noqa: PTH123
        file.write(line)
