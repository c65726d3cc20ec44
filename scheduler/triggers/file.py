"""file: watches files in a directory that the operator allows; fires when some are added, changed or removed."""

from __future__ import annotations

import base64
import json
import os
import zlib
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from hashlib import blake2b
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from scheduler.domain.errors import InvalidField, ReveilleError
from scheduler.triggers.base import CheckContext
from scheduler.triggers.check_resources import CheckResources
from scheduler.triggers.looks import CheckResult, LookConfig
from scheduler.triggers.options import Option

MOST_FILES = 200_000
MOST_TOLD = 100
Event = Literal["new", "changed", "removed"]
EVENTS: tuple[Event, ...] = ("new", "changed", "removed")
State = tuple[int, str]
"""The size, and a digest of size, times and inode."""


class DirectoryUnreadable(ReveilleError):
    """The directory cannot be read."""

    status = 502
    problem = "directory-unreadable"


class FileConfig(LookConfig):
    """`{"root": "inbox", "files": "orders/*.csv"}`: `root` is on the operator's list."""

    kind: ClassVar = "file"
    label: ClassVar = "Files"
    summary: ClassVar = "When files are added, changed or removed in a directory that the operator allows."
    for_agents: ClassVar = (
        '{"root": "inbox", "files"?: "**/*.csv", "on"?: ["new", "changed", "removed"], "interval_seconds"?: 60}: '
        "when files come, change or go (only where the operator lets agents make these)"
    )
    icon: ClassVar = "M-4-5.5h5l3 3v8h-8Z"
    docs: ClassVar = "docs/triggers/file.md"
    can_try: ClassVar = True
    needs_permission: ClassVar = True
    max_cursor_chars: ClassVar = 16 * 1024 * 1024
    main_fields: ClassVar = ("root", "files", "interval_seconds")
    options: ClassVar = (
        Option("--root", "root", "A directory from the operator's list.", metavar="NAME"),
        Option("--files", "files", "The files in it, such as **/*.csv.", implies=False),
        Option("--every", "interval_seconds", "How often.", "duration", "20s|5m|2h|1d", implies=False),
    )
    data_headings: ClassVar = {
        "en": {
            "new": "New files:",
            "changed": "Changed files:",
            "removed": "Removed files:",
            "more": "Further files, not shown:",
        },
        "zh": {
            "new": "新增文件:",
            "changed": "已更改文件:",
            "removed": "已删除文件:",
            "more": "未显示的其余文件:",
        },
    }

    root: str = Field(
        min_length=1,
        max_length=200,
        title="Directory",
        description="Its name in REVEILLE_FILE_ROOTS.",
        examples=["inbox"],
    )
    files: str = Field(
        default="**",
        min_length=1,
        max_length=500,
        title="Files",
        description="Within it, such as *.csv or orders/**/*.csv; ** matches any depth.",
        examples=["**/*.csv"],
    )
    on: list[Event] = Field(
        default_factory=lambda: list(EVENTS),
        min_length=1,
        max_length=3,
        title="Fire on",
    )
    quiet_seconds: float = Field(
        default=2.0,
        ge=0,
        le=3600,
        allow_inf_nan=False,
        title="Settling time (seconds)",
        description="A file counts once it has not been written to for this long.",
    )

    def check(self, context: CheckContext) -> None:
        """Raises InvalidField for a directory that the operator did not list, and a pattern that would leave it."""
        if self.root not in context.permitted.file_roots:
            raise InvalidField(
                f"The directory {self.root!r} is not in REVEILLE_FILE_ROOTS: the operator lists there what may be "
                "watched.",
                field="root",
            )
        if self.files.startswith("/") or {"..", "."} & set(self.files.split("/")) or "\0" in self.files:
            raise InvalidField("A pattern must stay within the directory, such as orders/*.csv.", field="files")

    def look_with(self, cursor: Any, resources: CheckResources) -> CheckResult:
        """Compares the current files with those of the last check."""
        root = resources.permitted.file_roots.get(self.root)
        if root is None:
            raise DirectoryUnreadable(f"The directory {self.root!r} is not in this worker's REVEILLE_FILE_ROOTS.")
        before = None if cursor is None else unpack(cursor["files"])
        unsettled_since = resources.now().timestamp() - self.quiet_seconds
        now: dict[str, State] = {}
        for name, state, written_at in found_files(root, self.files):
            if written_at <= unsettled_since:
                now[name] = state
            elif before is not None and name in before:
                now[name] = before[name]
            if len(now) > MOST_FILES:
                raise DirectoryUnreadable(f"More than {MOST_FILES} files match; make the pattern more precise.")
        left = {"files": pack(now), "count": len(now)}
        if before is None:
            return CheckResult(left, shown={"files": _told(sorted(now)[:MOST_TOLD], now), "count": len(now)})
        return CheckResult(left, self._data(before, now))

    def remembered(self, cursor: Any) -> Any:
        """Returns how many files it knows."""
        return {"files": cursor["count"]}

    def _data(self, before: Mapping[str, State], now: Mapping[str, State]) -> dict[str, Any] | None:
        found: dict[str, list[str]] = {
            "new": sorted(now.keys() - before.keys()),
            "changed": sorted(name for name in now.keys() & before.keys() if now[name] != before[name]),
            "removed": sorted(before.keys() - now.keys()),
        }
        wanted = {event: names for event, names in found.items() if event in self.on and names}
        if not wanted:
            return None
        states = {**before, **now}
        data: dict[str, Any] = {event: _told(names[:MOST_TOLD], states) for event, names in wanted.items()}
        more = sum(max(len(names) - MOST_TOLD, 0) for names in wanted.values())
        return data | ({"more": more} if more else {})


def found_files(root: str, pattern: str) -> Iterator[tuple[str, State, float]]:
    """Returns name, state and modification time of each matching file. Follows no symbolic links.

    Raises DirectoryUnreadable.
    """
    top = os.path.realpath(root)
    if not Path(top).is_dir():
        raise DirectoryUnreadable("The directory does not exist.")
    for place, _, names, descriptor in os.fwalk(top, onerror=_unreadable, follow_symlinks=False):
        below = os.path.relpath(place, top)
        for name in names:
            path = name if below == "." else f"{below}/{name}"
            if not is_match(path, pattern):
                continue
            try:
                state = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
            except FileNotFoundError:  # deleted meanwhile
                continue
            if state.st_mode & 0o170000 == 0o100000:  # the file itself, not the target of a link
                seen = f"{state.st_size} {state.st_mtime_ns} {state.st_ino}".encode()
                yield path, (state.st_size, blake2b(seen, digest_size=6).hexdigest()), state.st_ctime


def pack(files: Mapping[str, State]) -> str:
    """Packs the files into a compact text."""
    return base64.b64encode(zlib.compress(json.dumps(files, sort_keys=True).encode(), 6)).decode()


def unpack(text: str) -> dict[str, State]:
    """Unpacks the files from such a text."""
    return {
        name: (size, seen) for name, (size, seen) in json.loads(zlib.decompress(base64.b64decode(text))).items()
    }


def is_match(path: str, pattern: str) -> bool:
    """Whether a path matches a pattern: `*`, `?` and `[…]` within a name, `**` for any depth."""
    names, wanted = path.split("/"), pattern.split("/")
    if wanted[-1] == "**":
        wanted.append("*")
    name = part = 0
    deep: tuple[int, int] | None = None  # where the last ** started, and how far it extends
    while name < len(names):
        if part < len(wanted) and wanted[part] == "**":
            deep, part = (part + 1, name), part + 1
        elif part < len(wanted) and fnmatchcase(names[name], wanted[part]):
            name, part = name + 1, part + 1
        elif deep is not None:
            deep = (deep[0], deep[1] + 1)
            part, name = deep
        else:
            return False
    return all(each == "**" for each in wanted[part:])


def _unreadable(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise DirectoryUnreadable(f"A directory below it cannot be read: {error.strerror}.") from None


def _told(names: list[str], states: Mapping[str, State]) -> list[dict[str, Any]]:
    return [{"name": os.fsencode(name).decode("utf-8", "replace"), "size": states[name][0]} for name in names]
