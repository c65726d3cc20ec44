"""Runs a peer through three measurements: lateness, idle CPU, and a kill during work."""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil

from tests.bench.peers.spec import VARIABLE, Spec
from tests.bench.server import bench_server
from tests.support.postgres import Databases
from tests.support.web import free_port

ROOT = Path(__file__).parents[3]
BURSTS = (1, 1000, 10_000)
STORED, KILLED = 100_000, 300
WORK_SECONDS = 0.02
"""How long a job takes in the kill measurement, so that some are running."""
LOAD_SECONDS = {"lateness": 60.0, "idle": 25.0, "killed": 5.0}
"""How long creating the schedules of each measurement may take."""
SETTLE_SECONDS, IDLE_SECONDS = 5.0, 10.0
PATIENCE = 60.0
"""A burst may take a minute, and the last one two."""
AFTER_KILL_SECONDS = 40.0


@dataclass(frozen=True)
class Peer:
    """How a peer is started: the arguments of its interpreter, one process each."""

    name: str
    processes: tuple[tuple[str, ...], ...]
    interpreter: tuple[str, ...] = (".venv-peers/bin/python", "-m")
    ahead: float = 8.0
    """The seconds it needs to start and to create the schedules of all bursts."""


@dataclass
class Found:
    """The measurements of a peer."""

    name: str
    lateness: dict[int, tuple[float, float]] = field(default_factory=dict)
    """p50 and p99 in seconds, by the number that was due."""
    rate: dict[int, float] = field(default_factory=dict)
    """Runs per second."""
    ran: dict[int, int] = field(default_factory=dict)
    """How many of them ran within PATIENCE."""
    stored: int = 0
    idle_cores: float = 0.0
    lost: int = 0
    doubled: int = 0
    seconds: float = 0.0
    """How long all of it took."""
    error: str = ""


class Services:
    """The PostgreSQL and the Redis that all share."""

    def __init__(self, databases: Databases, redis_port: int) -> None:
        self.databases = databases
        self._redis_port = redis_port
        self._numbers = iter(range(1000))

    @contextmanager
    def spec(
        self, slots: Sequence[tuple[int, int]], load_seconds: float, work_seconds: float = 0.0
    ) -> Iterator[Spec]:
        """Creates an empty database of each kind, and a file for the runs."""
        url = self.databases.create("template0")
        redis = f"redis://127.0.0.1:{self._redis_port}/{next(self._numbers) % 16}"
        subprocess.run(["redis-cli", "-u", redis, "flushdb"], check=True, capture_output=True)
        with tempfile.TemporaryDirectory() as directory:
            log = Path(directory) / "runs"
            log.touch()
            yield Spec(str(log), url, redis, list(slots), work_seconds, True, load_seconds)
        self.databases.drop(url)


@contextmanager
def services() -> Iterator[Services]:
    """Runs both servers with their default safety."""
    port = free_port()
    with tempfile.TemporaryDirectory() as directory, bench_server() as databases:
        command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", directory]
        redis = subprocess.Popen([*command, "--appendonly", "yes"], stdout=subprocess.DEVNULL)
        try:
            time.sleep(1)
            yield Services(databases, port)
        finally:
            redis.kill()
            redis.wait()


@contextmanager
def running(peer: Peer, spec: Spec) -> Iterator[list[psutil.Popen]]:
    """Runs the processes of a peer, and kills them at the end."""
    environment = {**os.environ, VARIABLE: json.dumps(asdict(spec)), "C_FORCE_ROOT": "1"}  # noqa: TID251
    out = Path(spec.log).parent
    started = []
    try:
        for number, arguments in enumerate(peer.processes):
            with (out / f"out{number}").open("wb") as file:
                started.append(
                    psutil.Popen(
                        [*peer.interpreter, *(each.format(directory=out) for each in arguments)],
                        cwd=ROOT,
                        env=environment,
                        stdout=file,
                        stderr=subprocess.STDOUT,
                        start_new_session=True,
                    )
                )
        yield started
    finally:
        for process in started:
            kill(process)


def kill(process: psutil.Popen) -> None:
    """Kills a process and its children with kill -9."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def wait_loaded(spec: Spec, processes: Sequence[psutil.Popen]) -> None:
    """Waits until the schedules have been created."""
    out = Path(spec.log).parent / "out0"
    deadline = time.monotonic() + spec.load_seconds + 20
    while b"loaded all" not in out.read_bytes():
        check(spec, processes)
        if time.monotonic() > deadline:
            raise TimeoutError(f"not loaded: {out.read_bytes()[-300:].decode(errors='replace')}")
        time.sleep(0.2)


def check(spec: Spec, processes: Sequence[psutil.Popen]) -> None:
    """Raises when a process has ended by itself."""
    for number, process in enumerate(processes):
        if process.poll() is not None:
            said = (Path(spec.log).parent / f"out{number}").read_bytes()[-300:].decode(errors="replace")
            raise RuntimeError(f"ended by itself: {said}")


def runs(spec: Spec) -> dict[str, list[float]]:
    """Returns when each schedule ran."""
    found: dict[str, list[float]] = {}
    for line in Path(spec.log).read_text().splitlines():
        name, at = line.split()
        found.setdefault(name, []).append(float(at))
    return found


def next_minute(ahead: float) -> int:
    """Returns the first whole minute that is at least so many seconds ahead."""
    return (int(time.time() + ahead) // 60 + 1) * 60


def lateness(services: Services, peer: Peer, found: Found) -> None:
    """Makes the BURSTS due, a minute apart. Ends early when a burst has not run within its minute, since the next
    one would only add to it.
    """
    first = next_minute(peer.ahead)
    slots = [(first + 60 * number, count) for number, count in enumerate(BURSTS)]
    with services.spec(slots, LOAD_SECONDS["lateness"]) as spec, running(peer, spec) as processes:
        due, tried = 0, []
        for slot, count in slots:
            tried.append(count)
            due += count
            is_last = count == BURSTS[-1]
            deadline = slot + PATIENCE * (2 if is_last else 1)
            while len(runs(spec)) < due and time.time() < deadline:
                check(spec, processes)
                time.sleep(0.5)
            if len(runs(spec)) < due and count > 1:
                break
        came = runs(spec)
    by_count: dict[int, list[float]] = {}
    for name, times in came.items():
        slot = int(name.partition("-")[0])
        by_count.setdefault(dict(slots)[slot], []).append(times[0] - slot)
    for count in tried:
        late = sorted(by_count.get(count, []))
        found.ran[count] = len(late)
        if late:
            found.lateness[count] = (statistics.median(late), late[min(int(len(late) * 0.99), len(late) - 1)])
            found.rate[count] = len(late) / late[-1]


def idle(services: Services, peer: Peer, found: Found) -> None:
    """Stores STORED schedules that are due tomorrow, and measures what the processes use."""
    slots = [(next_minute(86_400), STORED)]
    with services.spec(slots, LOAD_SECONDS["idle"]) as spec, running(peer, spec) as processes:
        wait_loaded(spec, processes)
        said = (Path(spec.log).parent / "out0").read_text(errors="replace").splitlines()
        loaded = [int(line.split()[1]) for line in said if line.startswith("loaded ") and line != "loaded all"]
        found.stored = max(loaded, default=0)
        time.sleep(SETTLE_SECONDS)
        before = cpu(processes)
        time.sleep(IDLE_SECONDS)
        found.idle_cores = (cpu(processes) - before) / IDLE_SECONDS


def cpu(processes: Sequence[psutil.Popen]) -> float:
    """Returns the seconds of CPU that the processes and their children have used."""
    family = [each for process in processes for each in (process, *process.children(recursive=True))]
    return sum(sum(each.cpu_times()[:2]) for each in family)


def killed(services: Services, peer: Peer, found: Found) -> None:
    """Kills all processes of a peer during KILLED runs, starts them again, and counts the runs."""
    slot = next_minute(8)
    with services.spec([(slot, KILLED)], LOAD_SECONDS["killed"], WORK_SECONDS) as spec:
        with running(peer, spec):
            deadline = slot + PATIENCE / 2
            while len(runs(spec)) < KILLED // 5 and time.time() < deadline:
                time.sleep(0.002)
        again = Spec(**{**asdict(spec), "is_first": False})
        with running(peer, again):
            deadline = time.time() + AFTER_KILL_SECONDS
            while len(runs(spec)) < KILLED and time.time() < deadline:
                time.sleep(0.5)
            time.sleep(3)
        counted = Counter({name: len(times) for name, times in runs(spec).items()})
    found.lost = KILLED - len(counted)
    found.doubled = sum(count > 1 for count in counted.values())
