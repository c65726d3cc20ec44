"""folder: watches a directory that the operator allows; fires when matching files are added or changed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from scheduler.domain.errors import InvalidField
from scheduler.triggers.base import CheckContext
from scheduler.triggers.looks import CheckResult, LookConfig
from scheduler.triggers.options import Option

ROOT = "FILE_TRIGGER_ROOT"
MOST_FILES = 10_000
MOST_TOLD = 100


class FolderConfig(LookConfig):
    """`{"directory": "orders", "files": "*.csv"}`, the directory being below FILE_TRIGGER_ROOT."""

    kind: ClassVar = "folder"
    label: ClassVar = "Folder"
    summary: ClassVar = "When files come or change in a directory."
    icon: ClassVar = "M-4-5.5h5l3 3v8h-8Z"
    docs: ClassVar = "https://example.org/reveille-file-trigger"
    main_fields: ClassVar = ("directory", "files")
    options: ClassVar = (
        Option("--directory", "directory", "Below the directory that the operator allows."),
        Option("--files", "files", "Which files, such as *.csv.", implies=False),
        Option("--every", "interval_seconds", "How often.", "duration", "20s|5m|2h|1d", implies=False),
    )
    data_headings: ClassVar = {
        "en": {"files": "New or changed files:", "more": "Further files:"},
        "zh": {"files": "新增或更改的文件:", "more": "其余文件:"},
    }

    directory: str = Field(
        min_length=1, title="Directory", description="Below the allowed one.", examples=["orders"]
    )
    files: str = Field(
        default="*", min_length=1, title="Files", description="A pattern such as *.csv.", examples=["*.csv"]
    )

    def check(self, context: CheckContext) -> None:
        """Refuses a directory outside the allowed one, and a pattern that leaves the directory."""
        self._place()
        if "/" in self.files or self.files in {".", ".."}:
            raise InvalidField("A pattern names files of the directory itself, such as *.csv.", field="files")

    def look(self, cursor: Any) -> CheckResult:
        """Compares the matching files with those of the last check."""
        now = {name: [size, changed] for name, size, changed in self._found()}
        if cursor is None:
            return CheckResult(now)
        fresh = [name for name, state in now.items() if cursor.get(name) != state]
        if not fresh:
            return CheckResult(now)
        data: dict[str, Any] = {"files": [{"name": name, "size": now[name][0]} for name in fresh[:MOST_TOLD]]}
        if len(fresh) > MOST_TOLD:
            data["more"] = len(fresh) - MOST_TOLD
        return CheckResult(now, data)

    def _found(self) -> list[tuple[str, int, int]]:
        found = []
        for path in sorted(self._place().glob(self.files)):
            try:
                state = path.lstat()
            except FileNotFoundError:  # deleted meanwhile
                continue
            if path.is_file() and not path.is_symlink():
                found.append((path.name, state.st_size, state.st_mtime_ns))
            if len(found) > MOST_FILES:
                raise InvalidField(f"More than {MOST_FILES} files match.", field="files")
        return found

    def _place(self) -> Path:
        """Returns the directory; raises InvalidField when it is missing or not below the allowed one."""
        allowed = os.environ.get(ROOT)  # noqa: TID251  # a package has settings of its own
        if not allowed:
            raise InvalidField(f"No directory may be watched: the operator has not set {ROOT}.", field="directory")
        root = Path(allowed).resolve()
        place = (root / self.directory).resolve()
        if not place.is_relative_to(root):
            raise InvalidField("The directory is not below the one that may be watched.", field="directory")
        if not place.is_dir():
            raise InvalidField(f"There is no directory {self.directory[:200]}.", field="directory")
        return place
