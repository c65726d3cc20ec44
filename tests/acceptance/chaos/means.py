"""What faults need of the machine: a disk that can be filled, a clock that is wrong, an earlier version."""

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
    """A small file system on `directory`; None where none may be mounted."""
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
    """Use up every byte that is left; the file that does so."""
    ballast = disk / "ballast"
    with suppress(OSError), ballast.open("ab", buffering=0) as file:
        for size in (CHUNK, 4096):
            with suppress(OSError):
                while file.write(b"\0" * size):
                    pass
    return ballast


def wrong_clock(offset: str) -> dict[str, str] | None:
    """Variables with which a process has another time of day, such as "+1h"; None without libfaketime."""
    libraries = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    if not libraries:
        return None
    return {"LD_PRELOAD": str(libraries[0]), "FAKETIME": offset, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


def earlier_version(directory: Path) -> Path | None:
    """The newest version that lacks today's last migration, laid out in `directory`; None without a history."""
    newest = max(path.name for path in (ROOT / VERSIONS).glob("[0-9]*.py"))
    added = _run("git", "log", "-1", "--format=%H", "--diff-filter=A", "--", f"{VERSIONS}/{newest}")
    archive = _run("git", "archive", f"{added.decode().strip()}^") if added and added.strip() else None
    if not archive:
        return None
    with tarfile.open(fileobj=BytesIO(archive)) as files:
        files.extractall(directory, filter="data")
    return directory


def _run(*command: str) -> bytes | None:
    """What a command prints; None when it fails or is not there."""
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, check=True, env=os.environ).stdout  # noqa: TID251
    except (OSError, subprocess.CalledProcessError):
        return None
