"""What the faults need from the machine: a disk that can be filled, a wrong clock, an earlier version."""

from __future__ import annotations

import os
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path

from tests.acceptance.fleet import ROOT

VERSIONS = "scheduler/storage/migrations/versions"
DISK_MEGABYTES = 600
CHUNK = 1 << 20


@contextmanager
def small_disk(directory: Path) -> Iterator[Path | None]:
    """Mounts a small file system on `directory`; returns None where this is impossible."""
    directory.mkdir(parents=True, exist_ok=True)
    options = f"size={DISK_MEGABYTES}m,mode=755"
    if _run("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(directory)) is None:
        yield None
        return
    try:
        yield directory
    finally:
        _run("umount", "-l", str(directory))


def fill(disk: Path) -> Path:
    """Uses up all remaining space; returns the file that does so."""
    ballast = disk / "ballast"
    with suppress(OSError), ballast.open("ab", buffering=0) as file:
        for size in (CHUNK, 4096):
            with suppress(OSError):
                while file.write(b"\0" * size):
                    pass
    return ballast


def wrong_clock(offset: str) -> dict[str, str] | None:
    """Returns variables that give a process another time, such as "+1h"; None without libfaketime."""
    libraries = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    if not libraries:
        return None
    return {"LD_PRELOAD": str(libraries[0]), "FAKETIME": offset, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


def earlier_version(directory: Path) -> Path | None:
    """Puts the newest version without today's last migration into `directory`; returns None without a history."""
    newest = max(path.name for path in (ROOT / VERSIONS).glob("[0-9]*.py"))
    added = _run("git", "log", "-1", "--format=%H", "--diff-filter=A", "--", f"{VERSIONS}/{newest}")
    archive = _run("git", "archive", f"{added.decode().strip()}^") if added and added.strip() else None
    if not archive:
        return None
    with tarfile.open(fileobj=BytesIO(archive)) as files:
        files.extractall(directory, filter="data")
    return directory


def _run(*command: str) -> bytes | None:
    """Returns the output of a command; None if it fails or does not exist."""
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, check=True, env=os.environ).stdout  # noqa: TID251
    except (OSError, subprocess.CalledProcessError):
        return None
