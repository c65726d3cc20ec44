"""Real processes of Reveille on one database, to be killed and started again: what a platform does to them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

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
    """Processes by name (`web`, `worker-1` …), their kind being the name up to the dash."""

    def __init__(self, database_url: str, logs: Path, **variables: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._logs = logs
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._roots: dict[str, Path] = {}
        self._own: dict[str, Mapping[str, str]] = {}
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
            **variables,
        }

    def migrate(self, root: Path = ROOT) -> None:
        """Run the release command to its end."""
        subprocess.run(
            [sys.executable, "-m", "scheduler.cli", "migrate"], cwd=root, env=self.environment, check=True
        )

    def set_variables(self, name: str, variables: Mapping[str, str]) -> None:
        """Give a process variables of its own, from its next start on."""
        self._own[name] = variables

    def set_root(self, name: str, root: Path = ROOT) -> None:
        """Run a process from another source tree, from its next start on."""
        self._roots[name] = root

    def start(self, name: str) -> None:
        """Start a process of the kind that its name says."""
        with (self._logs / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                COMMANDS[name.partition("-")[0]],
                cwd=self._roots.get(name, ROOT),
                env={**self.environment, **self._own.get(name, {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """End a process and all that it started; SIGKILL unless told otherwise. Waits for its end."""
        process = self._processes[name]
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        process.wait(timeout=60)

    def send(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a process and all that it started."""
        with suppress(ProcessLookupError):
            os.killpg(self._processes[name].pid, number)

    def alive(self, name: str) -> bool:
        """Whether the process still runs."""
        return self._processes[name].poll() is None

    def pid(self, name: str) -> int:
        """The process's id."""
        return self._processes[name].pid

    def names(self) -> list[str]:
        """The processes that were started."""
        return sorted(self._processes)

    def log(self, name: str) -> str:
        """What a process has printed so far, over all of its lives."""
        return (self._logs / f"{name}.log").read_text(errors="replace")

    def wait_ready(self, seconds: float = 60) -> None:
        """Wait until /readyz says that database, scheduler and worker are there."""
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
        """A client of the API with the admin key."""
        headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
        return httpx.Client(base_url=f"{self.url}/api/v1", headers=headers, timeout=30)

    def stop(self) -> None:
        """Kill whatever still runs."""
        for name in self.names():
            self.kill(name)


@contextmanager
def fleet(database_url: str, logs: Path, **variables: str) -> Iterator[Fleet]:
    """A fleet that is gone at the end, whatever happens."""
    one = Fleet(database_url, logs, **variables)
    try:
        yield one
    finally:
        one.stop()
