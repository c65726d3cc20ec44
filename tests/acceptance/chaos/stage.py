"""The processes under load, their database, and a network between them that can be broken."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock, Thread

import psycopg

from tests.acceptance.agent_server import AgentServer, agent_server
from tests.acceptance.chaos import machine
from tests.acceptance.chaos.audit import Report
from tests.acceptance.chaos.load import Answers
from tests.acceptance.chaos.wire import Wire, network
from tests.acceptance.fleet import ROOT, Fleet, fleet
from tests.support.postgres import Databases, running_server
from tests.support.proxy import Proxy, proxy

PROCESSES = ("web", "scheduler-1", "scheduler-2", "invoker-1", "worker-1", "worker-2")
BEHIND_THE_PROXY = ("web", "scheduler-1", "invoker-1", "worker-1")
ON_THE_WIRE = "scheduler-1"
"""The process that has a network of its own, where the machine allows that."""
CLOCKS = {"worker-2": "+1h", "scheduler-2": "-1h"}
ROLLED = ("web", "worker-1", "worker-2")
"""The processes that start in the earlier version."""
OPTIONS = {
    "fsync": "off",  # nothing here cuts the power, and a killed process loses nothing
    "full_page_writes": "off",
    "max_connections": "200",
    "max_wal_size": "128MB",
    "min_wal_size": "32MB",
    "track_activity_query_size": "16kB",
}


@dataclass
class Stage:
    """Everything that faults act on."""

    databases: Databases
    url: str
    processes: Fleet
    proxy: Proxy
    agents: AgentServer
    chance: random.Random
    report: Report
    disk: Path | None
    wire: Wire | None
    earlier: Path | None
    logs: Path
    answers: Answers = field(default_factory=Answers)
    wire_lock: Lock = field(default_factory=Lock)
    """Held while the wire is broken."""
    _beside: list[Thread] = field(default_factory=list)
    errors: list[BaseException] = field(default_factory=list)

    def note(self, fault: str) -> None:
        """Records that a fault happened."""
        self.report.faults.append(fault)

    def beside(self, what: Callable[[], None]) -> None:
        """Runs something while other faults happen."""

        def work() -> None:
            try:
                what()
            except BaseException as error:  # noqa: BLE001  # it is raised by `join`
                self.errors.append(error)

        self._beside.append(Thread(target=work, daemon=True))
        self._beside[-1].start()

    def join(self) -> None:
        """Waits for what runs meanwhile."""
        for thread in self._beside:
            thread.join(timeout=180)
            assert not thread.is_alive()
        if self.errors:
            raise self.errors[0]

    def again(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Ends a process and starts it again."""
        self.processes.kill(name, number)
        self.processes.start(name)

    def kill_database(self) -> None:
        """Kills the server with `kill -9`, or one of its processes, which makes it restart itself."""
        pid = self.databases.server.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        time.sleep(1)
        self.databases.server.start()

    def start_database(self) -> None:
        """Starts the server if it has ended."""
        if self.databases.server.pid is None:
            self.databases.server.start()

    def wait_for_database(self) -> None:
        """Waits until the server accepts connections."""
        for _ in range(600):
            with suppress(psycopg.Error), psycopg.connect(self.url, connect_timeout=2):
                return
            time.sleep(0.1)
        raise TimeoutError("PostgreSQL does not come back")


@contextmanager
def stage(directory: Path, seed: int, say: Callable[[str], None]) -> Iterator[Stage]:
    """Yields a stage and removes it at the end; prints one line for each fault that this machine cannot cause."""
    logs = directory / "logs"
    logs.mkdir()
    with (
        machine.small_disk(directory / "disk") as disk,
        running_server(directory / "disk" / "data", OPTIONS) as databases,
        agent_server(takes_seconds=0.03) as agents,
        network() as wire,
        proxy(databases.server.url, wire.host if wire else "127.0.0.1") as between,
    ):
        if disk is None:
            say("no file system may be mounted here: the disk is not filled")
        if wire is None:
            say("no network namespace may be made here: no packets are lost")
        url = databases.create("template0")
        earlier = machine.earlier_version(directory / "earlier")
        if earlier is None:
            say("there is no history of versions here: no earlier one runs beside")
        variables = {"REVEILLE_ALLOW_PRIVATE_HOSTS": "127.0.0.1", "REVEILLE_LOG_LEVEL": "WARNING"}
        with fleet(url, logs, **variables) as processes:
            report, chance = Report(seed), random.Random(seed)
            yield Stage(databases, url, processes, between, agents, chance, report, disk, wire, earlier, logs)
            between.swallows = False


def begin(on: Stage, say: Callable[[str], None]) -> None:
    """Starts the processes; those of ROLLED in the earlier version if there is one."""
    far = {"DATABASE_URL": on.proxy.url(on.url).replace("postgresql:", "postgres:", 1)}
    for name in PROCESSES:
        clock = machine.wrong_clock(CLOCKS[name]) if name in CLOCKS else {}
        if clock is None:
            say(f"there is no libfaketime here: the clock of {name} is right")
        own = (clock or {}) | (far if name in BEHIND_THE_PROXY else {})
        on.processes.set_variables(name, own)
        if on.wire is not None and name == ON_THE_WIRE:
            on.processes.set_prefix(name, on.wire.command)
        if on.earlier is not None and name in ROLLED:
            on.processes.set_root(name, on.earlier)
    on.processes.migrate(on.earlier or ROOT)
    for name in PROCESSES if on.earlier is None else ROLLED:
        on.processes.start(name)
    on.processes.wait_ready()


def roll(on: Stage) -> None:
    """Migrates under load and replaces the earlier version, one process after another."""
    if on.earlier is None:
        return
    on.processes.migrate()
    on.note("migration under load")
    for name in PROCESSES:
        if name in ROLLED:
            on.processes.set_root(name)
            on.again(name, signal.SIGTERM)
            on.note("earlier version replaced")
        else:
            on.processes.start(name)
