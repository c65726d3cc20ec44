"""The exit codes of commands and the errors that lead to them."""

from __future__ import annotations

from enum import IntEnum

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
