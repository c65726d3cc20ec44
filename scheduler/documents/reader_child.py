"""`python -m scheduler.documents.reader_child SECONDS`: reads the documents that arrive on stdin one after another.

It is limited to MEMORY_BYTES, and to SECONDS of CPU time per document, after which the kernel kills it.
"""

from __future__ import annotations

import contextlib
import json
import resource
import signal
import sys
from functools import cache
from importlib import import_module
from typing import Any, BinaryIO

from scheduler.documents.reader_process import HEAD, MAX_RESULT_BYTES
from scheduler.documents.text import Unreadable

READERS = ("calendar", "feed", "mail", "page", "plain_text")
"""Modules in this package, each with a function `read(body, **arguments)` that returns JSON."""

MEMORY_BYTES = 1024 * 1024 * 1024
READS = 2_000
"""The documents that a process reads before it is replaced, so that memory leaks of libraries stay small."""
TOO_MUCH_MEMORY = "It takes too much memory to read."
TOO_DEEP = "It is nested too deeply."


def serve(documents: BinaryIO, answers: BinaryIO, seconds: float) -> None:
    """Reads documents until the input ends."""
    for count in range(1, READS + 1):
        head = documents.read(HEAD.size)
        if len(head) < HEAD.size:
            return
        asked_size, body_size = HEAD.unpack(head)
        asked = json.loads(documents.read(asked_size))
        body = documents.read(body_size)
        answer = answer_to(asked, body, seconds) | ({"is_last": True} if count == READS else {})
        text = json.dumps(answer).encode()
        if len(text) > MAX_RESULT_BYTES:
            text = json.dumps({"error": "The selected content is too large."}).encode()
        answers.write(HEAD.pack(len(text), 0) + text)
        answers.flush()


def answer_to(asked: dict[str, Any], body: bytes, seconds: float) -> dict[str, Any]:
    """Returns the value from a reader, or why there is none."""
    reader = reader_of(asked["reader"])
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        return {"value": reader.read(body, **asked["arguments"])}
    except Unreadable as error:
        return {"error": error.message}
    except MemoryError:
        return {"error": TOO_MUCH_MEMORY, "is_last": True}
    except RecursionError:
        return {"error": TOO_DEEP, "is_last": True}
    except Exception as error:  # noqa: BLE001  # whatever a library makes of what strangers wrote
        return {"error": f"It cannot be read: {type(error).__name__}: {str(error)[:200]}"}
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


@cache
def reader_of(name: str) -> Any:
    """Imports the module of a reader."""
    if name not in READERS:
        raise ValueError(f"there is no reader {name}")
    return import_module(f"scheduler.documents.{name}")


def limit_memory() -> None:
    """Limits the memory of this process, on systems that support it."""
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    limit_memory()
    serve(sys.stdin.buffer, sys.stdout.buffer, float(sys.argv[1]))
