"""Dumps and restores a database with PostgreSQL's own programs."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from psycopg import pq

from scheduler.domain.errors import ConfigurationError, ReveilleError
from scheduler.postgres.embedded import binaries

NEEDED = ("pg_dump", "pg_restore", "psql")
UNKNOWN_BEFORE_17 = b"SET transaction_timeout = "
"""pg_dump 17 writes this at the start of a dump; older servers fail on it."""
HEAD_LINES = 60


def programs() -> Path:
    """Returns the directory of the programs: the wheel's, if they support the server's version, else those in
    PATH.
    """
    try:
        return binaries()
    except ConfigurationError:
        found = shutil.which("pg_dump", path=os.defpath)
    if found is None:
        raise ConfigurationError("pg_dump is not installed: install PostgreSQL's client programs.")
    return Path(found).resolve().parent


def dump(url: str, target: Path) -> None:
    """Writes the database at `url` to `target` as one snapshot, without blocking others.

    Raises ReveilleError with pg_dump's message.
    """
    command: list[str | Path] = [
        programs() / "pg_dump",
        "--format=custom",
        "--no-owner",
        "--no-privileges",
        f"--file={target}",
    ]
    done = subprocess.run(command, env=_environment(url), capture_output=True)
    if done.returncode != 0:
        raise ReveilleError(f"The database could not be dumped: {_complaint(done.stderr)}")


def load(source: Path, url: str) -> None:
    """Restores the dump `source` into the database at `url`, all or nothing. The server may be older.

    Raises ReveilleError with the program's message.
    """
    place = programs()
    reader = subprocess.Popen(
        [place / "pg_restore", "--no-owner", "--no-privileges", "--file=-", source],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=_environment(url),
    )
    writer = subprocess.Popen(
        [place / "psql", "--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1", "--file=-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=_environment(url),
    )
    with reader, writer:
        assert reader.stdout is not None  # noqa: S101  # asked for above
        assert writer.stdin is not None  # noqa: S101
        try:
            for part in _for_older(reader.stdout):
                writer.stdin.write(part)
        except BrokenPipeError:
            reader.kill()  # psql has failed and reports why below
        _, refused = writer.communicate()
        unread = reader.stderr.read() if reader.stderr else b""
    if writer.returncode != 0 or reader.returncode != 0:
        raise ReveilleError(f"The dump could not be restored: {_complaint(refused or unread)}")


def _for_older(script: IO[bytes]) -> Iterator[bytes]:
    """Filters out a setting that older servers do not know. It is in the script's header, before any data."""
    for _ in range(HEAD_LINES):
        line = script.readline()
        if not line.startswith(UNKNOWN_BEFORE_17):
            yield line
    while part := script.read(1 << 16):
        yield part


def _environment(url: str) -> dict[str, str]:
    """Returns the connection as environment variables, since other users can read command-line arguments."""
    given = {
        option.envvar.decode(): option.val.decode()
        for option in pq.Conninfo.parse(url.encode())
        if option.envvar and option.val is not None
    }
    return {"PATH": os.defpath, "LC_ALL": "C", **given}


def _complaint(output: bytes) -> str:
    lines = [line.strip() for line in output.decode(errors="replace").splitlines() if line.strip()]
    telling = [line for line in lines if "ERROR" in line or "error" in line or "FATAL" in line]
    return (telling or lines or ["it said nothing"])[0]
