"""Products that `make external` has installed: each is started on loopback for a module of tests."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

FOLDER = os.environ.get("EXTERNAL")  # noqa: TID251  # no setting of the service
"""The folder in which `make external` installs; not set in any other run."""
PATIENCE = 180.0


def installed(program: str) -> Path:
    """Returns the path of a program below the folder; skips the module if it is not installed."""
    if not FOLDER:
        pytest.skip("needs products of others: make external", allow_module_level=True)
    path = Path(FOLDER).resolve() / program
    if not path.exists():
        pytest.skip(f"{program} is not installed: make external", allow_module_level=True)
    return path


def with_node() -> dict[str, str]:
    """Returns an environment with the installed `node` and without keys of any service."""
    node = installed("node/node_modules/.bin/node").parent
    return {"PATH": f"{node}:/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}


def free_port() -> int:
    """Returns a free port of loopback."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
        return port


@contextmanager
def started(
    command: Sequence[str | Path], url: str, log: Path, *, env: Mapping[str, str], cwd: Path
) -> Iterator[None]:
    """Starts a product and waits until `url` answers; ends it and all its children."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            [str(each) for each in command],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=dict(env),
            cwd=cwd,
            start_new_session=True,
        )
    try:
        _wait(process, url, log)
        yield
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()[-3000:]
        try:
            if httpx.get(url, timeout=5).status_code < 500:
                return
        except httpx.HTTPError:
            time.sleep(0.5)
    pytest.fail(f"{url} did not answer: {log.read_text()[-3000:]}")
