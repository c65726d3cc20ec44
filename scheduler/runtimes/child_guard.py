"""`python -I -S child_guard.py FD PROGRAM ARG…`: runs PROGRAM, kills it with all its children, and never outlives
FD.

A worker starts this instead of the program and holds the other end of the pipe FD. However the worker ends, even
by kill -9, the kernel closes that end, and what it started is killed: otherwise the agent could be run a second
time in parallel. SIGTERM is passed on to the program's group; closing FD kills. The exit status is the program's,
or 128 + the signal that ended it. This file imports nothing of ours, so that it starts in 10 ms.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import sys
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
CANNOT_RUN, NOT_FOUND = 126, 127  # as in a shell


def main(lifeline: int, command: list[str]) -> int:
    """Runs `command` to its end, or until the pipe is closed."""
    if sys.platform == "linux":
        # Processes that leave the program's group become our children when their parent dies.
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    program = os.fork()
    if program == 0:
        become(lifeline, command)
    os.close(0)
    os.close(1)
    status = watch(program, lifeline, woken)
    end_all(program)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def become(lifeline: int, command: list[str]) -> None:
    """Replaces this process by the program, in its own session and process group."""
    os.close(lifeline)
    os.setsid()
    try:
        os.execv(command[0], command)  # noqa: S606  # no shell is the point
    except OSError as error:
        os.write(2, f"{command[0]}: {error.strerror}\n".encode())
        os._exit(NOT_FOUND if isinstance(error, FileNotFoundError) else CANNOT_RUN)


def watch(program: int, lifeline: int, woken: int) -> int:
    """Waits for the program to end and passes on SIGTERM; kills it when the pipe is closed."""
    while True:
        ready, _, _ = select.select([lifeline, woken], [], [])
        if lifeline in ready:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(program, signal.SIGKILL)
            return os.waitpid(program, 0)[1]
        if signal.SIGTERM in os.read(woken, 512):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(program, signal.SIGTERM)
        ended, status = os.waitpid(program, os.WNOHANG)
        if ended:
            return status


def end_all(program: int) -> None:
    """Kills what the program left behind: its group, and on Linux any process that has left the group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(program, signal.SIGKILL)
    while True:
        for child in orphans():
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def orphans() -> list[int]:
    """Returns our child processes, which by now are only adopted ones."""
    try:
        return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]
    except OSError:
        return []


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
