"""The processes of a worker: the scheduler, small jobs and large jobs each have one of their own.

In one process they would share an interpreter, in which each of the many steps of a single wake waits for its turn
among those of a flood (docs/decisions/0016).
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from loguru import logger

from config.settings import Settings, child_environment, with_shared_metrics
from scheduler.children import Child
from scheduler.domain.roles import Jobs, Role
from scheduler.metrics import serve_metrics
from scheduler.shared_metrics import SharedMetrics
from scheduler.signs_of_life import sign_of_life
from scheduler.storage.connection_limit import read_connection_limit
from scheduler.supervisor import Console, Supervisor, stop_signals

ENOUGH_CONNECTIONS = 50
"""Three processes take 18, two web servers and a release 9; the rest is for as many again during a deployment."""
PAUSE_SECONDS = 1.0
SILENT_SECONDS, START_SECONDS = 60.0, 300.0
"""How long a process may be silent, and how long before its first sign of life: a busy machine may start it slowly."""
LONGEST_GAP = 5.0
SCHEDULER = ("--role", Role.SCHEDULER.value)
SMALL_JOBS = ("--role", Role.INVOKER.value, "--jobs", Jobs.SMALL.value)
LARGE_JOBS = ("--role", Role.INVOKER.value, "--jobs", Jobs.LARGE.value)


class WatchedChild(Child):
    """A child that is killed, and started again, when it no longer shows signs of life: it hangs, or is frozen."""

    def __init__(self, *args: Any, signs: Path, now: Callable[[], float] = time.monotonic, **kwargs: Any) -> None:
        """`signs`: the directory in which it touches a file."""
        super().__init__(*args, **kwargs)
        self._signs = signs
        self._now = now
        self._seen: tuple[int | None, int | None] = (None, None)
        self._seen_at = self._checked_at = now()

    def check(self) -> int | None:
        """Does as a child does, and kills one that has been silent for too long."""
        status = super().check()
        now, seen = self._now(), (self.pid, self._last_sign())
        was_away = now - self._checked_at > LONGEST_GAP  # this process was frozen itself, perhaps with the child
        if seen != self._seen or was_away:
            self._seen, self._seen_at = seen, now
        self._checked_at = now
        patience = START_SECONDS if seen[1] is None else SILENT_SECONDS
        if self.pid is not None and now - self._seen_at > patience:
            logger.error("{} has shown no sign of life for {:g} s and is started again", self.name, patience)
            self.kill()
        return status

    def _last_sign(self) -> int | None:
        try:
            return sign_of_life(self._signs, self.pid or 0).stat().st_mtime_ns
        except FileNotFoundError:
            return None


def processes_of(settings: Settings, role: Role) -> list[Sequence[str]]:
    """Returns the options of each process of a worker with this role; none if it is to be one process.

    Waits while the database does not answer, if it decides.
    """
    if role is Role.SCHEDULER or settings.worker_processes == "one":
        return []
    if settings.worker_processes == "auto" and (limit := _limit(settings)) < ENOUGH_CONNECTIONS:
        logger.info("The worker is one process, as the database allows only {} connections", limit)
        return []
    return [SCHEDULER] * role.schedules + [SMALL_JOBS, LARGE_JOBS]


def run_processes(settings: Settings, processes: Sequence[Sequence[str]]) -> int:
    """Runs the command of this process once with each of these options, which win over its own, until SIGTERM or
    SIGINT.

    Starts again what ends by itself, and serves the metrics of all. Returns the exit status.
    """
    console = Console(sys.stderr)
    with stop_signals() as stop, tempfile.TemporaryDirectory(prefix="reveille-metrics-") as shared:
        environment = {**child_environment(settings), **with_shared_metrics(shared)}
        children = [
            WatchedChild(
                f"worker {' '.join(options)}",
                [sys.executable, *sys.orig_argv[1:], *options],
                cwd=Path.cwd(),
                environment=environment,
                write=console.write,
                prefixed=False,
                signs=Path(shared),
            )
            for options in processes
        ]
        serve_metrics(settings, SharedMetrics(Path(shared), lambda: [each.pid for each in children if each.pid]))
        return Supervisor(children, None, stop).run()


def _limit(settings: Settings) -> int:
    said = False
    while (limit := read_connection_limit(settings.sqlalchemy_url)) is None:
        if not said:
            logger.warning("The worker waits for the database")
            said = True
        time.sleep(PAUSE_SECONDS)
    return limit
