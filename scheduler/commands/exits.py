"""The exit codes of commands, the errors that lead to them, and their streams: what cannot be written is escaped or
reported without a traceback.
"""

from __future__ import annotations

import io
import os
import sys
import unicodedata
from collections.abc import Sequence
from contextlib import suppress
from enum import IntEnum
from pathlib import Path
from typing import TextIO

from scheduler.domain.errors import (
    ConfigurationError,
    DatabaseUnavailable,
    Forbidden,
    InvalidField,
    NotFound,
    ReveilleError,
    Unauthorized,
)


class ExitCode(IntEnum):
    """The exit codes that scripts can rely on."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    KEY_REFUSED = 4
    UNREACHABLE = 5
    INTERRUPTED = 130


class UsageFault(ReveilleError):
    """The command was given options that do not go together."""


class Unreachable(ReveilleError):
    """The service does not answer."""

    permanent = False


_CODES: tuple[tuple[tuple[type[ReveilleError], ...], ExitCode], ...] = (
    ((UsageFault, ConfigurationError, InvalidField), ExitCode.USAGE),
    ((NotFound,), ExitCode.NOT_FOUND),
    ((Unauthorized, Forbidden), ExitCode.KEY_REFUSED),
    ((Unreachable, DatabaseUnavailable), ExitCode.UNREACHABLE),
)


def exit_code(error: ReveilleError) -> ExitCode:
    """Returns the exit code for a command that ended with `error`."""
    return next((code for kinds, code in _CODES if isinstance(error, kinds)), ExitCode.FAILED)


def prepare_streams() -> None:
    """Replaces closed streams, and escapes characters that the locale's charset lacks."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115  # for as long as we run
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="surrogateescape" if name == "stdin" else "backslashreplace")


def texts_of(arguments: Sequence[str]) -> list[str]:
    """Decodes the arguments as UTF-8, whatever the locale. Raises UsageFault if they are not."""
    try:
        return [os.fsencode(argument).decode() for argument in arguments]
    except UnicodeError:
        raise UsageFault("An argument is not UTF-8 text.") from None


KEPT = "\t\u200c\u200d"
"""Invisible characters that are allowed: tabs, and the joiners in Persian or in emoji."""


def printable(text: str) -> str:
    """Escapes control and bidirectional characters, so that other people's text cannot control the terminal."""
    return "".join(char if char.isprintable() or char in KEPT else _escape(char) for char in text)


def _escape(char: str) -> str:
    """Returns a space for another kind of space, as between Chinese words, else the escaped character."""
    is_space = unicodedata.category(char) == "Zs"
    return " " if is_space else char.encode("unicode_escape").decode("ascii")


def print_error(text: str) -> None:
    """Prints a line to stderr, ignoring errors. Text from others in it cannot control the terminal."""
    try:
        sys.stderr.write(f"{printable(text)}\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        _let_go_of(sys.stderr)


def disable_flushing() -> None:
    """Disables flushing: buffered output has no reader, and Python's flush at exit would fail."""
    for stream in (sys.stdout, sys.stderr):
        _let_go_of(stream)


def _let_go_of(stream: TextIO) -> None:
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
