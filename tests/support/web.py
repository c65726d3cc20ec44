"""The web process as in production: gunicorn with our configuration, called over loopback."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.support.log_watch import WATCH

ROOT = Path(__file__).resolve().parents[2]
SECRET_KEY = "a secret key for tests"


@dataclass(frozen=True)
class Web:
    """A running web process."""

    port: int
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def kill(self) -> None:
        """Kills the master and its workers with kill -9."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def connect(self) -> socket.socket:
        """Opens a plain connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)


@contextmanager
def running_web(
    database_url: str,
    *,
    app: str = "api.app:create_app()",
    env: Mapping[str, str] | None = None,
    options: Sequence[str] = (),
) -> Iterator[Web]:
    """Runs gunicorn on a free port, with `env` in addition to the required variables; stops it at the end.

    `options` are command-line options that override our configuration.
    """
    port = free_port()
    environment = {
        "PATH": os.defpath,
        "DATABASE_URL": database_url,
        "PORT": str(port),
        "REVEILLE_SECRET_KEY": SECRET_KEY,
        "REVEILLE_LOG_LEVEL": "ERROR",
        **(env or {}),
    }
    command = [sys.executable, "-m", "gunicorn", "-c", "config/gunicorn.py", *options, app]
    log = WATCH.new_log()
    with log.open("wb") as stderr:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, start_new_session=True, stderr=stderr)
    web = Web(port, process)
    try:
        _wait_for_answer(web)
        yield web
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
        sys.stderr.write(log.read_text(encoding="utf-8", errors="replace"))


def free_port() -> int:
    """Returns a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for_answer(web: Web) -> None:
    transport = httpx.HTTPTransport(retries=30)
    with httpx.Client(transport=transport, timeout=20) as client:
        assert client.post(f"{web.url}/hooks/nobody").status_code in (202, 404)
