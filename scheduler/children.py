"""A supervised child process: its console lines get a prefix, it is started again when it dies."""

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
"""A child that lived so long starts again after the first pause; for one that died sooner the pause doubles."""


class Child:
    """One child process, in a process group of its own, which a Ctrl-C on the console does not reach."""

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
        """`write` is given each line that the child prints, prefixed by `name` unless a machine reads them."""
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
        """The process, or None while it does not run."""
        return self._process.pid if self._process is not None else None

    def check(self) -> int | None:
        """Start the child if it is due. Returns the exit status of one that has just died, else None.

        Must be called by the thread that lives as long as this process: Linux ends a child with that thread.
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
        logger.warning("{} ended with status {}; it starts again in {:.0f} s", self.name, status, self._pause)
        self._pause = min(self._pause * 2, LONGEST_PAUSE)
        return status

    def terminate(self) -> None:
        """Ask it to stop."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it and whatever is left of its process group."""
        self._signal(signal.SIGKILL)
        self._reap()

    def has_stopped(self) -> bool:
        """Whether it does not run."""
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
            process_group=0,
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
        """End what is left of the group, so that no grandchild lives on, and pass on the last lines."""
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()
        if self._reader is not None:
            self._reader.join(timeout=1)  # a process outside the group may hold the console open
        self._process = self._reader = None
