"""The faults, one function each; those in FAULTS are chosen at random."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

import psycopg

from tests.acceptance.chaos import machine
from tests.acceptance.chaos.stage import BEHIND_THE_PROXY, ON_THE_WIRE, PROCESSES, Stage
from tests.acceptance.chaos.wire import Wire

LOOK_SECONDS = 6.0
"""How long to wait for a connection to reach the point at which it is cut."""
POINTS = {
    "mid-pass": ("reveille-scheduler", "INSERT INTO firings"),
    "mid-close": ("reveille-scheduler", "procrastinate_defer"),
    "mid-claim": ("reveille-worker", "complete_token_hash"),
    "mid-end": ("reveille-worker", "finished_at"),
    "mid-record": ("reveille-web", "INSERT INTO firings"),
}
"""Whose connections are cut while such a statement is running, or is the last of an open transaction."""
TERMINATE = """
    SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = %s AND state <> 'idle' AND query ~ %s
"""
WRITERS = ("reveille-scheduler", "reveille-worker", "reveille-web", "reveille-jobs")


def kill(on: Stage, name: str) -> None:
    """Kills with `kill -9`."""
    on.again(name)
    on.note(f"kill -9 {name.partition('-')[0]}")


def freeze(on: Stage, name: str, seconds: float) -> None:
    """Sends SIGSTOP, and SIGCONT after a while, while other faults happen."""

    def frozen() -> None:
        on.processes.send(name, signal.SIGSTOP)
        time.sleep(seconds)
        on.processes.send(name, signal.SIGCONT)
        on.note(f"SIGSTOP {name.partition('-')[0]}")

    on.beside(frozen)


def restart_database(on: Stage, seconds: float = 0.0) -> None:
    """Stops PostgreSQL properly, and starts it again."""
    on.databases.server.stop()
    time.sleep(seconds)
    on.databases.server.start()
    on.note("PostgreSQL restarted")


def kill_database(on: Stage) -> None:
    """Kills PostgreSQL with `kill -9`."""
    on.kill_database()
    on.note("kill -9 postgres")


def cut_at(on: Stage, point: str, times: int = 2, seconds: float = LOOK_SECONDS) -> None:
    """Cuts connections at the server, at a given point of their work, if one reaches it within so many seconds."""
    name, statement = POINTS[point]
    done, deadline = 0, time.monotonic() + seconds
    with psycopg.connect(on.url, autocommit=True) as conn:
        while done < times and time.monotonic() < deadline:
            row = conn.execute(TERMINATE, [name, statement]).fetchone()
            done += row[0] if row else 0
    if done:
        on.note(f"cut {point}")


def cut_commits(on: Stage, times: int = 2) -> None:
    """Cuts connections as they commit: before the server receives it, or before its answer arrives."""
    cuts = [
        on.proxy.cut_at(rb"COMMIT", name, after=after, times=times) for name in WRITERS for after in (False, True)
    ]
    deadline = time.monotonic() + LOOK_SECONDS
    while any(cut.left for cut in cuts) and time.monotonic() < deadline:
        time.sleep(0.05)
    for cut in cuts:
        cut.left = 0
        if cut.done:
            on.note(f"cut {'after' if cut.after else 'before'} COMMIT of {cut.name.removeprefix('reveille-')}")


def cut_all(on: Stage) -> None:
    """Cuts every connection at once."""
    on.proxy.cut_all()
    on.note("cut all")


def slow(on: Stage, seconds: float = 4.0) -> None:
    """Delays each message by a fifth of a second."""
    on.proxy.delay = 0.2
    time.sleep(seconds)
    on.proxy.delay = 0.0
    on.note("slow network")


def black_hole(on: Stage, seconds: float) -> None:
    """Makes the network drop everything for a while, while other faults happen; afterwards old connections stay
    dead.
    """

    def swallow() -> None:
        on.proxy.swallows = True
        time.sleep(seconds)
        on.proxy.lose_all()
        on.proxy.swallows = False
        on.note("black hole")

    on.beside(swallow)


def lose_packets(on: Stage, seconds: float) -> None:
    """Loses every packet of one process's network for a while, while other faults happen."""

    def lost(wire: Wire) -> None:
        wire.lose_packets()
        time.sleep(seconds)
        wire.find_again()
        on.note("packets lost")

    _on_the_wire(on, lost)


def narrow(on: Stage, seconds: float) -> None:
    """Lets few packets of one process's network through for a while, while other faults happen."""

    def narrowed(wire: Wire) -> None:
        wire.slow_down()
        time.sleep(seconds)
        wire.speed_up()
        on.note("narrow network")

    _on_the_wire(on, narrowed)


def _on_the_wire(on: Stage, what: Callable[[Wire], None]) -> None:
    """Does something with the network of one process, unless something else is being done with it."""
    wire = on.wire
    if wire is None or not on.wire_lock.acquire(blocking=False):
        return

    def work() -> None:
        try:
            what(wire)
        finally:
            on.wire_lock.release()

    on.beside(work)


def fill_disk(on: Stage, seconds: float = 5.0) -> None:
    """Fills PostgreSQL's disk, then frees it."""
    if on.disk is None:
        return
    ballast = machine.fill(on.disk)
    time.sleep(seconds)
    ballast.unlink()
    on.start_database()
    on.wait_for_database()
    on.note("disk full")


def draw(on: Stage) -> None:
    """Causes one random fault."""
    on.chance.choice(FAULTS)(on)


def _kill_any(on: Stage) -> None:
    kill(on, on.chance.choice(PROCESSES))


FAULTS: list[Callable[[Stage], None]] = [
    *[_kill_any] * 6,
    lambda on: freeze(on, on.chance.choice(PROCESSES), 60),
    lambda on: freeze(on, on.chance.choice(PROCESSES), 5),
    restart_database,
    kill_database,
    lambda on: cut_at(on, on.chance.choice(list(POINTS))),
    lambda on: cut_at(on, on.chance.choice(list(POINTS))),
    cut_commits,
    cut_all,
    slow,
    lambda on: black_hole(on, on.chance.choice([3, 25, 50])),
    lambda on: lose_packets(on, on.chance.choice([5, 30, 60])),
    lambda on: narrow(on, 20),
    fill_disk,
]


def rehearse(on: Stage, stop_seconds: float = 60.0) -> None:
    """Causes every fault once, in about 90 s."""
    freeze(on, "invoker-1", stop_seconds)
    lose_packets(on, 30)
    for name in ("web", "scheduler-2", "worker-2"):
        kill(on, name)
        time.sleep(2)
    for point in POINTS:
        cut_at(on, point)
    cut_commits(on)
    restart_database(on)
    time.sleep(3)
    kill_database(on)
    time.sleep(3)
    restart_database(on, seconds=5)
    time.sleep(4)
    fill_disk(on)
    time.sleep(3)
    slow(on)
    on.join()
    kill(on, "invoker-1")
    narrow(on, 10)
    black_hole(on, 14)
    time.sleep(3)
    kill(on, "scheduler-2")
    on.join()
    cut_all(on)
    time.sleep(3)
    for point in POINTS:
        if f"cut {point}" not in on.report.faults:
            cut_at(on, point, times=1, seconds=60)


assert {*BEHIND_THE_PROXY, ON_THE_WIRE} <= set(PROCESSES)
