"""file: reports files added, changed and removed below a directory that match a pattern, and never outside it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.domain.errors import InvalidField
from scheduler.domain.permissions import Permitted
from scheduler.triggers.base import CheckContext, parse_config
from scheduler.triggers.file import DirectoryUnreadable, FileConfig, is_match, pack, unpack
from scheduler.triggers.looks import CheckResult
from tests.support.check_resources import check_resources
from tests.support.processor import spends_less_than
from tests.unit.test_poll_config import NOW


class Watched:
    """A directory that is checked repeatedly."""

    def __init__(self, root: Path, **config: Any) -> None:
        self.root = root
        self._config = FileConfig(root="inbox", **config)
        self._cursor: Any = None

    def write(self, name: str, text: str = "") -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def look(self, **more: Any) -> Mapping[str, Any] | None:
        seen: CheckResult = self._config.look_with(
            self._cursor, check_resources(file_roots={"inbox": str(self.root)}, **more)
        )
        self._cursor = json.loads(json.dumps(seen.cursor))
        return seen.data


@pytest.mark.parametrize(
    ("pattern", "path", "is_of_it"),
    [
        ("**", "a", True),
        ("**", "a/b/c", True),
        ("*", "a", True),
        ("*", "a/b", False),
        ("*.csv", "a.csv", True),
        ("*.csv", "a/b.csv", False),
        ("**/*.csv", "b.csv", True),
        ("**/*.csv", "a/b/c.csv", True),
        ("a/**/b/*", "a/b/c", True),
        ("a/**/b/*", "a/x/y/b/c", True),
        ("a/**/b/*", "a/x/y/c", False),
        ("a/**", "a/b", True),
        ("a/**", "b/b", False),
        ("[ab]?.t", "ax.t", True),
        ("[!ab]*", "ax", False),
        ("**/**/x", "x", True),
    ],
)
def test_a_pattern_names_files(pattern: str, path: str, is_of_it: bool) -> None:
    assert is_match(path, pattern) is is_of_it


@settings(max_examples=100)
@given(
    st.lists(st.sampled_from(["**", "*", "a", "[", "?"]), min_size=1), st.lists(st.sampled_from("ab["), min_size=1)
)
def test_any_pattern_is_decided_soon(pattern: list[str], path: list[str]) -> None:
    with spends_less_than(1):
        assert is_match("/".join(path), "/".join(pattern)) in (True, False)


def test_what_comes_changes_and_goes_fires_once(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    watched.write("old.txt", "1")
    assert watched.look() is None
    assert watched.look() is None
    watched.write("sub/new.txt", "four")
    watched.write("old.txt", "22")
    assert watched.look() == {
        "new": [{"name": "sub/new.txt", "size": 4}],
        "changed": [{"name": "old.txt", "size": 2}],
    }
    assert watched.look() is None
    (tmp_path / "old.txt").unlink()
    assert watched.look() == {"removed": [{"name": "old.txt", "size": 2}]}


def test_a_file_that_another_took_the_place_of_has_changed(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    watched.write("a", "x")
    stamp = (tmp_path / "a").stat()
    watched.look()
    watched.write("b", "y")
    os.utime(tmp_path / "b", ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    (tmp_path / "b").rename(tmp_path / "a")
    assert watched.look() == {"changed": [{"name": "a", "size": 1}]}


def test_a_file_counts_when_nothing_was_written_for_a_while(tmp_path: Path) -> None:
    watched = Watched(tmp_path, quiet_seconds=60)
    watched.write("a", "1")
    watched.look()
    watched.write("a", "22")
    watched.write("b")
    assert watched.look(now=lambda: datetime.now(UTC)) is None  # noqa: TID251
    assert watched.look() == {"new": [{"name": "b", "size": 0}], "changed": [{"name": "a", "size": 2}]}


def test_links_are_not_followed_and_what_is_no_file_is_none(tmp_path: Path) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    outside.mkdir()
    inside.mkdir()
    watched = Watched(inside)
    watched.look()
    (outside / "secret").write_text("x")
    (inside / "link").symlink_to(outside / "secret")
    (inside / "dir").symlink_to(outside)
    os.mkfifo(inside / "pipe")
    assert watched.look() is None


def test_only_the_configured_changes_fire(tmp_path: Path) -> None:
    watched = Watched(tmp_path, files="*.csv", on=["new"])
    watched.look()
    watched.write("a.txt")
    watched.write("b/c.csv")
    assert watched.look() is None
    watched.write("a.csv")
    assert watched.look() == {"new": [{"name": "a.csv", "size": 0}]}
    (tmp_path / "a.csv").unlink()
    assert watched.look() is None


def test_many_are_counted_and_odd_names_are_told(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    watched.look()
    for n in range(103):
        watched.write(f"{n:03}")
    (tmp_path / os.fsdecode(b"\xff")).touch()
    told = watched.look()
    assert told is not None
    assert (len(told["new"]), told["more"]) == (100, 4)


def test_a_directory_that_vanishes_is_a_failure_and_loses_nothing(tmp_path: Path) -> None:
    watched = Watched(tmp_path / "inbox")
    watched.write("a")
    watched.look()
    watched.root.rename(tmp_path / "away")
    with pytest.raises(DirectoryUnreadable, match="does not exist"):
        watched.look()
    (tmp_path / "away").rename(watched.root)
    watched.write("b")
    assert watched.look() == {"new": [{"name": "b", "size": 0}]}


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"root": "other"}, "root"),
        ({"root": "inbox", "files": "../*"}, "files"),
        ({"root": "inbox", "files": "/etc/*"}, "files"),
        ({"root": "inbox", "on": ["read"]}, "on.0"),
        ({"root": "inbox", "on": []}, "on"),
        ({"root": "inbox", "quiet_seconds": -1}, "quiet_seconds"),
    ],
)
def test_a_wrong_field_is_named(config: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidField) as refused:
        parse_config(FileConfig, config, CheckContext(NOW, permitted=Permitted(file_roots={"inbox": "/srv"})))
    assert refused.value.field == f"config.{field}"


def test_a_hundred_thousand_files_fit_in_the_cursor() -> None:
    files = {f"orders/2030/{n % 400:03}/order-{n:06}.json": (n, f"{n * 7919:012x}") for n in range(100_000)}
    text = pack(files)
    assert len(text) < FileConfig.max_cursor_chars
    assert unpack(text) == files
