"""Runs an operator's program for a check, with a time limit, an output limit, and no processes left behind."""

from __future__ import annotations

import os
import pwd
import selectors
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from scheduler.domain.errors import ReveilleError
from scheduler.triggers.check_resources import ProgramResult

CHILD_GUARD = Path(__file__).resolve().parents[2] / "runtimes" / "child_guard.py"
"""A wrapper that kills the program and its children as soon as we close our end of a pipe."""
ERROR_BYTES = 2048
CHUNK = 65_536


class ProgramFailed(ReveilleError):
    """The program failed."""

    status = 502
    problem = "program-failed"


def run_program(command: Sequence[str], given: bytes, *, seconds: float, most: int) -> ProgramResult:
    """Runs `command` with `given` on stdin. Raises ProgramFailed when it takes too long or prints too much."""
    lifeline, holder = os.pipe()
    try:
        with tempfile.TemporaryFile() as stdin:
            stdin.write(given)
            stdin.seek(0)
            process = subprocess.Popen(  # from the operator's list
                [sys.executable, "-I", "-S", str(CHILD_GUARD), str(lifeline), *command],
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=[lifeline],
                env=_environment(),
                cwd="/",
                start_new_session=True,
            )
        os.close(lifeline)
        lifeline = -1
        try:
            output, errors = _read(process, seconds, most)
        finally:
            os.close(holder)
            holder = -1
            status = process.wait()
            for pipe in (process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()
    except OSError as error:
        raise ProgramFailed(f"It could not be started: {error.strerror}.") from None
    finally:
        for each in (lifeline, holder):
            if each >= 0:
                os.close(each)
    return ProgramResult(status, output, errors.decode("utf-8", "replace").strip())


def _read(process: subprocess.Popen[bytes], seconds: float, most: int) -> tuple[bytes, bytes]:
    """Reads stdout and the end of stderr until the program ends, without waiting for its children."""
    assert process.stdout and process.stderr  # noqa: S101, PT018  # as asked for
    deadline = time.monotonic() + seconds
    output, errors = bytearray(), b""
    with selectors.DefaultSelector() as selector:
        for pipe in (process.stdout, process.stderr):
            os.set_blocking(pipe.fileno(), False)
            selector.register(pipe, selectors.EVENT_READ)
        while selector.get_map():
            left = deadline - time.monotonic()
            if left <= 0:
                raise ProgramFailed(f"It did not end within {seconds:g} s and was killed.")
            for key, _ in selector.select(min(left, 0.5)):
                chunk = os.read(key.fd, CHUNK)
                if not chunk:
                    selector.unregister(key.fileobj)
                elif key.fileobj is process.stdout:
                    output += chunk
                else:
                    errors = (errors + chunk)[-ERROR_BYTES:]
            if len(output) > most:
                raise ProgramFailed(f"It printed more than {most} bytes and was killed.")
    try:
        process.wait(max(deadline - time.monotonic(), 0.0))
    except subprocess.TimeoutExpired:
        raise ProgramFailed(f"It did not end within {seconds:g} s and was killed.") from None
    return bytes(output), errors


def _environment() -> dict[str, str]:
    """Returns an environment without the worker's variables, which hold its secrets."""
    return {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": pwd.getpwuid(os.geteuid()).pw_dir,
        "LANG": "C.UTF-8",
    }
