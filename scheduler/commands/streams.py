"""The command's own streams: what cannot be written is escaped or told, never a traceback."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from scheduler.commands.exits import UsageFault


def prepare_streams() -> None:
    """Replace streams that are closed, and escape characters that the locale's charset lacks."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115  # for as long as we run
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="surrogateescape" if name == "stdin" else "backslashreplace")


def texts_of(arguments: Sequence[str]) -> list[str]:
    """The arguments as UTF-8, which they are whatever the locale says. Raises UsageFault for what is not."""
    try:
        return [os.fsencode(argument).decode() for argument in arguments]
    except UnicodeError:
        raise UsageFault("An argument is not UTF-8 text.") from None


def complain(text: str) -> None:
    """A line on stderr. Where nobody can read it there is nobody to tell."""
    try:
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        _let_go_of(sys.stderr)


def let_go() -> None:
    """Flush nothing more: what is still in the buffers has no reader, not even Python's own flush at exit."""
    for stream in (sys.stdout, sys.stderr):
        _let_go_of(stream)


def _let_go_of(stream: TextIO) -> None:
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
