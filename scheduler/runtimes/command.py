"""The `command` runtime: runs an operator's program with the request on stdin; its stdout is the reply.

Of all this, only the name in the operator's allow-list can be set through the API.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import sys
from asyncio import StreamReader, StreamWriter
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar, Literal

from pydantic import Field

from scheduler.domain.charsets import decode
from scheduler.domain.errors import ConfigurationError
from scheduler.domain.llm import read_usage
from scheduler.domain.run import Failed, Outcome, Replied, RunRequest, Runtime, RuntimeSpec
from scheduler.runtimes.base import MAX_REPLY_BYTES, Option, RuntimeConfig, RuntimeParts
from scheduler.runtimes.replies import parse_object, read_reply

CHILD_GUARD = Path(__file__).with_name("child_guard.py")
GRACE_SECONDS = 2.0
"""How long a program may take to end after SIGTERM before it is killed."""
ERROR_BYTES = 4096
"""How much of the end of stderr is kept as the error."""
CHUNK = 65536

PERMANENT_STATUSES = {
    64: "used wrongly",
    65: "given wrong data",
    78: "configured wrongly",
    126: "not executable",
    127: "not found",
}
"""Exit statuses for which a retry cannot help: from sysexits.h, and 126 and 127 as in shells."""


class CommandRuntime(RuntimeConfig):
    """Woken by running the program that the operator allows under this name (`REVEILLE_COMMANDS`)."""

    label: ClassVar = "Program"
    summary: ClassVar = "a program that the operator has allowed"
    icon: ClassVar = "M-5-4-1 0-5 4M0 4H5"
    docs: ClassVar = "docs/runtimes.md#command"
    choices: ClassVar = MappingProxyType({"name": "commands"})
    main_fields: ClassVar = ("name",)
    options: ClassVar = (
        Option("--command", "name", "a name in the operator's REVEILLE_COMMANDS.", metavar="NAME"),
    )

    kind: Literal["command"]
    name: str = Field(max_length=200, title="Program")

    @classmethod
    def open(cls, spec: RuntimeSpec, parts: RuntimeParts) -> Runtime:
        """Returns the runtime for one run of the program."""
        return CommandRun(spec, parts)


class CommandRun:
    """Runs an allowed program in its own session and leaves no process behind."""

    def __init__(self, spec: RuntimeSpec, parts: RuntimeParts) -> None:
        name = spec.config.get("name")
        command = parts.commands.get(name) if isinstance(name, str) else None
        if not command:
            raise ConfigurationError(
                f"The command {name!r} is not in this worker's REVEILLE_COMMANDS; add it there."
            )
        self._name = name
        self._command = list(command)
        self._timeout = spec.timeout_seconds

    async def run(self, request: RunRequest) -> Outcome:
        """Runs the program to its end. Exit status 0 is success; `_outcome` interprets the others."""
        try:
            async with asyncio.timeout(self._timeout):
                status, output, errors = await self._run(request.to_json(), request.traceparent)
        except TimeoutError:
            return Failed(f"{self._name} did not end within {self._timeout:g} s and was killed.", reason="timeout")
        except OSError as error:
            return Failed(f"{self._name} could not be started: {error.strerror}.")
        if status == 0:
            text = decode(bytes(output.data), is_cut=output.is_cut)
            if text is None:
                return Replied(f"(not text: {len(output.data)} bytes)", output.is_cut)
            return read_reply(text.rstrip("\n"), is_cut=output.is_cut)
        spent, note = read_usage(parse_object(output.data.decode("utf-8", "replace"), is_cut=False).get("usage"))
        failed = self._failure(status, errors.data.decode("utf-8", "replace").strip())
        return replace(failed, spent=spent, note=note)

    def _failure(self, status: int, errors: str) -> Failed:
        """Converts an exit status.

        Any failure is retried, as programs rarely say why, except for the known permanent ones.
        """
        meaning = f" ({PERMANENT_STATUSES[status]})" if status in PERMANENT_STATUSES else ""
        how = (
            f"was ended by signal {status - 128}" if 128 < status < 160 else f"ended with status {status}{meaning}"
        )
        text = f"{self._name} {how}: {errors}" if errors else f"{self._name} {how}."
        return Failed(text, permanent=status in PERMANENT_STATUSES)

    async def _run(self, body: bytes, traceparent: str | None) -> tuple[int, _Head, _Tail]:
        output, errors = _Head(MAX_REPLY_BYTES), _Tail(ERROR_BYTES)
        pipes: list[asyncio.Future[None]] = []
        try:
            async with _running(self._command, traceparent) as process:
                assert process.stdin and process.stdout and process.stderr  # noqa: S101, PT018  # as asked for
                work = (_feed(process.stdin, body), output.read(process.stdout), errors.read(process.stderr))
                pipes += map(asyncio.ensure_future, work)
                status = await process.wait()
        finally:
            if pipes:
                # They end when nobody holds the pipes any more; an escaped process is not waited for.
                await asyncio.wait(pipes, timeout=1)
            for each in pipes:
                each.cancel()
        return status, output, errors


class _Head:
    """Keeps the first bytes of a stream and drops the rest, which it reads so that the program does not block."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.data = bytearray()
        self.is_cut = False

    async def read(self, stream: StreamReader) -> None:
        while chunk := await stream.read(CHUNK):
            room = self._limit - len(self.data)
            self.data += chunk[:room]
            self.is_cut = self.is_cut or len(chunk) > room


class _Tail:
    """Keeps the last bytes of a stream."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.data = b""

    async def read(self, stream: StreamReader) -> None:
        while chunk := await stream.read(CHUNK):
            self.data = (self.data + chunk)[-self._limit :]


async def _feed(stream: StreamWriter, body: bytes) -> None:
    """Writes the request; a program need not read all of it."""
    with suppress(BrokenPipeError, ConnectionResetError):
        stream.write(body)
        await stream.drain()
    stream.close()
    with suppress(BrokenPipeError, ConnectionResetError):
        await stream.wait_closed()


@asynccontextmanager
async def _running(command: Sequence[str], traceparent: str | None) -> AsyncIterator[Process]:
    """Starts a program. When the block ends, the program and everything that it started are ended."""
    lifeline, holder = os.pipe()
    # Shielded, so that a cancellation during the start does not lose it.
    starting = asyncio.ensure_future(_start(command, lifeline, traceparent))
    try:
        yield await asyncio.shield(starting)
    finally:
        try:
            process = await starting
            if process.returncode is None:
                await _ask_to_end(process)
        finally:
            os.close(holder)  # makes the guard kill whatever is left
        await process.wait()


async def _start(command: Sequence[str], lifeline: int, traceparent: str | None) -> Process:
    try:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", str(CHILD_GUARD), str(lifeline)),
            *command,
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            pass_fds=[lifeline],
            env=_environment() | ({} if traceparent is None else {"TRACEPARENT": traceparent}),
            cwd="/",
            start_new_session=True,
        )
    finally:
        os.close(lifeline)


async def _ask_to_end(process: Process) -> None:
    with suppress(ProcessLookupError):
        process.terminate()
    with suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), GRACE_SECONDS)


def _environment() -> dict[str, str]:
    """Returns an environment without the worker's variables, which hold its secrets."""
    return {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": pwd.getpwuid(os.geteuid()).pw_dir,
        "LANG": "C.UTF-8",
    }
