"""The instructions for every peer, and its job: one line in a file for each run. Uses only the standard library."""

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
    """A measurement of one peer."""

    log: str
    """The file to which each run appends a line."""
    database: str
    """The URL of an empty PostgreSQL database, `postgresql://…`."""
    redis: str
    """The URL of an empty Redis database."""
    slots: list[tuple[int, int]]
    """The seconds at which so many schedules are due, on the minute."""
    work_seconds: float
    """How long a job takes."""
    is_first: bool
    """Whether to create the schedules; otherwise they exist already."""
    load_seconds: float
    """How long creating them may take."""

    def schedules(self) -> Iterator[tuple[str, datetime]]:
        """Returns the name of each schedule, and when it is due, once."""
        for slot, count in self.slots:
            for number in range(count):
                yield f"{slot}-{number}", datetime.fromtimestamp(slot, UTC)

    def in_time(self) -> Iterator[tuple[str, datetime]]:
        """Yields the same, as many as can be created in `load_seconds`."""
        started = time.monotonic()
        for count, schedule in enumerate(self.schedules()):
            if time.monotonic() - started > self.load_seconds:
                break
            yield schedule
            self.say(f"loaded {count + 1}") if count % 1000 == 999 else None
        self.say("loaded all")

    def say(self, words: str) -> None:
        """Reports progress to the bench."""
        print(words, flush=True)  # noqa: T201


def read_spec() -> Spec:
    """Returns the measurement that this process is part of."""
    fields: dict[str, Any] = json.loads(os.environ[VARIABLE])  # noqa: TID251  # other interpreters
    fields["slots"] = [tuple(each) for each in fields["slots"]]
    return Spec(**fields)


def work(name: str) -> None:
    """The job: records that it ran, and when. A line this short is written atomically."""
    spec = read_spec()
    line = f"{name} {time.time()}\n".encode()
    if spec.work_seconds:
        time.sleep(spec.work_seconds)
    with open(spec.log, "ab", buffering=0) as file:  # noqa: PTH123
        file.write(line)
