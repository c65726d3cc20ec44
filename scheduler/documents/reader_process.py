"""Reads documents in separate processes that can be killed, since a document may make its reader slow, large or
crash.

A thread cannot be stopped, and a parser written in C cannot be interrupted. A process has limits of CPU time and
memory, and holds no secrets and no database connection.
"""

from __future__ import annotations

import contextlib
import json
import signal
import struct
import subprocess
import sys
import threading
from pathlib import Path
from queue import Empty, LifoQueue
from typing import Any

from scheduler.documents.text import Unreadable

PROCESSOR_SECONDS = 1.0
"""Enough for a feed, a page or a calendar of the largest size; what is made to be slow ends here."""
WHOLE_SECONDS = 25.0
"""The limit in wall-clock seconds, generous enough for a busy machine."""
MAX_RESULT_BYTES = 16 * 1024 * 1024
ROOT = Path(__file__).resolve().parents[2]
HEAD = struct.Struct("!II")


class ReaderProcesses:
    """Reads any number of documents concurrently, from as many threads, each in a reusable process."""

    def __init__(self) -> None:
        self._idle: LifoQueue[_Child] = LifoQueue()
        self._is_closed = False

    def read(self, reader: str, body: bytes, **arguments: Any) -> Any:
        """Runs `reader`, a name in `reader_child.READERS`, on `body`. Raises Unreadable."""
        child = self._take()
        try:
            answer = child.ask(reader, body, arguments)
        except BaseException:
            child.end()
            raise
        if answer.get("is_last") or self._is_closed:
            child.end()
        else:
            self._idle.put(child)
        if "error" in answer:
            raise Unreadable(str(answer["error"]))
        return answer["value"]

    def close(self) -> None:
        """Ends the idle processes, and the others when they become idle."""
        self._is_closed = True
        with contextlib.suppress(Empty):
            while True:
                self._idle.get_nowait().end()

    def _take(self) -> _Child:
        while True:
            try:
                child = self._idle.get_nowait()
            except Empty:
                return _Child()
            if child.is_alive():
                return child
            child.end()


class _Child:
    """A process that reads one document after another."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(  # our own program
            [sys.executable, "-m", "scheduler.documents.reader_child", str(PROCESSOR_SECONDS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={"PYTHONPATH": str(ROOT), "LANG": "C.UTF-8"},
            start_new_session=True,  # Ctrl-C is handled by the service
        )

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, reader: str, body: bytes, arguments: dict[str, Any]) -> dict[str, Any]:
        """Returns the child's answer; raises Unreadable when there is none."""
        assert self._process.stdin and self._process.stdout  # noqa: S101, PT018  # as asked for
        asked = json.dumps({"reader": reader, "arguments": arguments}).encode()
        late = threading.Timer(WHOLE_SECONDS, self._process.kill)
        late.daemon = True
        late.start()
        try:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.write(HEAD.pack(len(asked), len(body)) + asked)
                self._process.stdin.write(body)
                self._process.stdin.flush()
            size, _ = HEAD.unpack(self._process.stdout.read(HEAD.size).ljust(HEAD.size, b"\0"))
            text = self._process.stdout.read(size) if 0 < size <= MAX_RESULT_BYTES else b""
        finally:
            late.cancel()
        if size == 0 or len(text) < size:
            raise Unreadable(self._why())
        answer: dict[str, Any] = json.loads(text)
        return answer

    def end(self) -> None:
        """Kills the process."""
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                if pipe is not None:
                    pipe.close()
        self._process.kill()
        self._process.wait()

    def _why(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
        if self._process.returncode in (-signal.SIGPROF, -signal.SIGXCPU):
            return f"It takes more than {PROCESSOR_SECONDS:g} s of processor time to read."
        if self._process.returncode == -signal.SIGKILL:
            return f"It could not be read within {WHOLE_SECONDS:g} s, or takes too much memory."
        return "Its reader crashed: it takes too much memory, or is nested too deeply."
