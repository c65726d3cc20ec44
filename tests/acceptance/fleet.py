"""Real Reveille processes on one database, to be killed and started again as a platform would."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import psutil

from tests.support.web import free_port

ROOT = Path(__file__).resolve().parents[2]
ADMIN_KEY = "rvl_a-key-for-the-fleet-of-a-test"
SECRET_KEY = "a secret key for the fleet of a test"
COMMANDS = {
    "web": [sys.executable, "-m", "gunicorn", "-c", "config/gunicorn.py", "api.app:create_app()"],
    "worker": [sys.executable, "-m", "scheduler.cli", "worker"],
    "scheduler": [sys.executable, "-m", "scheduler.cli", "worker", "--role", "scheduler"],
    "invoker": [sys.executable, "-m", "scheduler.cli", "worker", "--role", "invoker"],
}


class Fleet:
    """Processes by name (`web`, `worker-1` …); the part before the dash is their kind."""

    def __init__(self, database_url: str, logs: Path, **variables: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._logs = logs
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._roots: dict[str, Path] = {}
        self._own: dict[str, Mapping[str, str]] = {}
        self._prefixes: dict[str, Sequence[str]] = {}
        self.environment: Mapping[str, str] = {
            **{
                name: value
                for name, value in os.environ.items()  # noqa: TID251
                if not name.startswith("REVEILLE_")
            },
            "DATABASE_URL": database_url.replace("postgresql:", "postgres:", 1),
            "PORT": str(self.port),
            "REVEILLE_ADMIN_KEY": ADMIN_KEY,
            "REVEILLE_SECRET_KEY": SECRET_KEY,
            "REVEILLE_CANARY": "false",
            **variables,
        }

    def migrate(self, root: Path = ROOT) -> None:
        """Runs the release command to its end."""
        subprocess.run(
            [sys.executable, "-m", "scheduler.cli", "migrate"], cwd=root, env=self.environment, check=True
        )

    def set_variables(self, name: str, variables: Mapping[str, str]) -> None:
        """Sets variables for a process, from its next start on."""
        self._own[name] = variables

    def set_root(self, name: str, root: Path = ROOT) -> None:
        """Runs a process from another source tree, from its next start on."""
        self._roots[name] = root

    def set_prefix(self, name: str, command: Sequence[str]) -> None:
        """Starts a process by another command, such as `ip netns exec NAME`, from its next start on."""
        self._prefixes[name] = command

    def start(self, name: str) -> None:
        """Starts a process of the kind in its name."""
        with (self._logs / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                [*self._prefixes.get(name, ()), *COMMANDS[name.partition("-")[0]]],
                cwd=self._roots.get(name, ROOT),
                env={**self.environment, **self._own.get(name, {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Ends a process and all of its own, with SIGKILL by default; waits for their end."""
        family = self.family(name)
        self.send(name, number)
        self._processes[name].wait(timeout=60)
        _, left = psutil.wait_procs(family, timeout=60)
        assert not left, left

    def send(self, name: str, number: signal.Signals) -> None:
        """Sends a signal to a process and all of its own, the one that starts others again first."""
        for one in self.family(name):
            with suppress(ProcessLookupError):
                os.killpg(one.pid, number)

    def family(self, name: str) -> list[psutil.Process]:
        """Returns a process and those of its own, which a worker has; without what runs for agents."""
        found = []
        with suppress(psutil.NoSuchProcess):
            found.append(psutil.Process(self._processes[name].pid))
            for each in found[0].children():
                with suppress(psutil.NoSuchProcess):
                    found += [each] if "scheduler.cli" in each.cmdline() else []
        return found

    def alive(self, name: str) -> bool:
        """Whether the process still runs."""
        return self._processes[name].poll() is None

    def pid(self, name: str) -> int:
        """Returns the process's id."""
        return self._processes[name].pid

    def cpu_seconds(self, name: str) -> float:
        """Returns the CPU of a process and of those of its own so far."""
        return sum(sum(each.cpu_times()[:2]) for each in self.family(name))

    def resident_bytes(self, name: str) -> int:
        """Returns the memory of a process and of those of its own."""
        return sum(each.memory_info().rss for each in self.family(name))

    def names(self) -> list[str]:
        """Returns the processes that were started."""
        return sorted(self._processes)

    def log(self, name: str) -> str:
        """Returns what a process has printed, over all its restarts."""
        return (self._logs / f"{name}.log").read_text(errors="replace")

    def wait_ready(self, seconds: float = 60) -> None:
        """Waits until /readyz reports database, scheduler and worker."""
        deadline = time.monotonic() + seconds
        answer = "nothing"
        while time.monotonic() < deadline:
            with suppress(httpx.HTTPError):
                response = httpx.get(f"{self.url}/readyz", timeout=5)
                if response.status_code == httpx.codes.OK:
                    return
                answer = response.text
            time.sleep(0.1)
        logs = "\n".join(f"--- {name}\n{self.log(name)[-2000:]}" for name in self.names())
        raise TimeoutError(f"Not ready after {seconds} s: {answer}\n{logs}")

    def api(self) -> httpx.Client:
        """Returns an API client with the admin key."""
        headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
        return httpx.Client(base_url=f"{self.url}/api/v1", headers=headers, timeout=30)

    def stop(self) -> None:
        """Kills whatever still runs."""
        for name in self.names():
            self.kill(name)


@contextmanager
def fleet(database_url: str, logs: Path, **variables: str) -> Iterator[Fleet]:
    """Yields a fleet and removes it at the end, whatever happens."""
    one = Fleet(database_url, logs, **variables)
    try:
        yield one
    finally:
        one.stop()
