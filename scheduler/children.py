"""Supervises a child process: prefixes its console lines and restarts it when it exits."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Thread

from loguru import logger

LAUNCHER = Path(__file__).with_name("die_with_parent.py")
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 30.0
STEADY_SECONDS = 30.0
"""A child that ran at least this long restarts after the first pause; for shorter runs the pause doubles."""


class Child:
    """A supervised child process. It has a process group of its own, so Ctrl-C on the console does not reach it."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        cwd: Path,
        environment: Mapping[str, str],
        write: Callable[[str], None],
        prefixed: bool = True,
    ) -> None:
        """Passes each output line to `write`, prefixed with `name` unless logs are machine-readable."""
        self.name = name
        self._command = [sys.executable, "-P", str(LAUNCHER), str(os.getpid()), *command]
        self._cwd = cwd
        self._environment = {**environment, "PYTHONUNBUFFERED": "1"}
        self._write = write
        self._prefix = f"{name:<6} | " if prefixed else ""
        self._process: subprocess.Popen[str] | None = None
        self._reader: Thread | None = None
        self._started_at = 0.0
        self._start_at = 0.0
        self._pause = FIRST_PAUSE

    @property
    def pid(self) -> int | None:
        """The process id, or None when the child is not running."""
        return self._process.pid if self._process is not None else None

    def check(self) -> int | None:
        """Starts the child if it is due. Returns the exit status of a child that has just exited, else None.

        Call this from a thread that lives as long as this process: Linux kills the child when that thread ends.
        """
        now = time.monotonic()
        if self._process is None:
            if now >= self._start_at:
                self._start(now)
            return None
        status = self._process.poll()
        if status is None:
            return None
        self._reap()
        self._pause = FIRST_PAUSE if now - self._started_at >= STEADY_SECONDS else self._pause
        self._start_at = now + self._pause
        logger.warning("{} exited with status {}; restarting in {:.0f} s", self.name, status, self._pause)
        self._pause = min(self._pause * 2, LONGEST_PAUSE)
        return status

    def terminate(self) -> None:
        """Asks the child to stop."""
        self._signal(signal.SIGTERM)

    def interrupt(self) -> None:
        """Tells a child that is stopping to hurry."""
        self._signal(signal.SIGINT)

    def kill(self) -> None:
        """Kills the child and everything left in its process group."""
        self._signal(signal.SIGKILL)
        self._reap()

    def has_stopped(self) -> bool:
        """Whether the child is not running."""
        return self._process is None or self._process.poll() is not None

    def _start(self, now: float) -> None:
        self._started_at = now
        self._process = subprocess.Popen(
            self._command,
            cwd=self._cwd,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._reader = Thread(
            target=self._copy, args=(self._process,), name=f"console of {self.name}", daemon=True
        )
        self._reader.start()

    def _copy(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None  # noqa: S101  # it was asked for
        with process.stdout as lines:
            for line in lines:
                self._write(f"{self._prefix}{line.rstrip()}")

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)

    def _reap(self) -> None:
        """Kills what is left of the process group, so that no grandchild survives, and writes out the last lines."""
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()
        if self._reader is not None:
            self._reader.join(timeout=1)  # a process outside the group may keep the pipe open
        self._process = self._reader = None
