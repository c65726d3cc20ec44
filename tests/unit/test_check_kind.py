"""check: a program's output decides whether to fire; anything else it does is a failure."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.domain.errors import InvalidField, ReveilleError
from scheduler.domain.permissions import Permitted
from scheduler.intake.polls.programs import CHILD_GUARD
from scheduler.triggers.base import CheckContext, parse_config
from scheduler.triggers.check import CheckConfig, CheckFailed, _check_result
from scheduler.triggers.looks import CheckResult
from tests.support.check_resources import check_resources
from tests.unit.test_poll_config import NOW

NEW: dict[str, Any] = {"cursor": None, "keys": []}


def look(script: str, cursor: Any = None, **config: Any) -> CheckResult:
    command = ["/bin/sh", "-c", script]
    return CheckConfig(name="it", **config).look_with(cursor, check_resources(checks={"it": command}))


@pytest.mark.parametrize(
    ("script", "data"),
    [
        ("", None),
        ("echo", None),
        ("echo '{\"fire\": false}'", None),
        ('echo \'{"fire": false, "data": 1}\'', None),
        ("echo disk is full", {"text": "disk is full"}),
        ("printf 'ä\\n\\nb\\n'", {"text": "ä\n\nb"}),
        ("echo '{\"fire\": true}'", {}),
        ('echo \'{"fire": true, "data": [1, {"a": null}]}\'', {"data": [1, {"a": None}]}),
        ('echo \'{"fire": true, "key": "k", "data": 0}\'', {"key": "k", "data": 0}),
        ("echo '{not json'", {"text": "{not json"}),
        ("echo '[1]'", {"text": "[1]"}),
        ("echo warned >&2", None),
    ],
)
def test_what_is_printed_says_whether_to_fire(script: str, data: dict[str, Any] | None) -> None:
    assert look(script).data == data


def test_the_cursor_comes_on_stdin_and_a_key_fires_once() -> None:
    count = f"""exec {sys.executable} -c '
import json, sys
n = (json.load(sys.stdin) or 0) + 1
print(json.dumps({{"fire": True, "key": str(n // 2), "data": n, "cursor": n}}))'"""
    told, cursor = [], None
    for _ in range(4):
        sighting = look(count, cursor)
        cursor = json.loads(json.dumps(sighting.cursor))
        told.append(sighting.data and sighting.data["data"])
    assert told == [1, 2, None, 4]
    assert CheckConfig(name="it").remembered(cursor) == 4
    assert look("cat >&2", cursor).cursor == cursor


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("echo no >&2; exit 3", "ended with status 3: no"),
        ("kill -9 $$", "ended with status 137"),
        ("sleep 30", "did not end within 0.5 s"),
        ("exec >&- 2>&-; sleep 30", "did not end within 0.5 s"),
        ("yes | head -c 1100000", "more than 1048576 bytes"),
        ("echo '{\"fire\": 1}'", '"fire"'),
        ("echo '{}'", '"fire"'),
        ('echo \'{"fire": true, "key": 5}\'', "key"),
        ('echo \'{"fire": true, "when": 5}\'', "'when'"),
        ("printf '\\377'", "UTF-8"),
    ],
)
def test_what_goes_wrong_is_a_failure_and_no_firing(script: str, why: str) -> None:
    with pytest.raises(ReveilleError, match=why):
        look(script, timeout_seconds=0.5 if "sleep" in script else 10)


def test_a_check_that_forks_and_hangs_leaves_nothing(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    with pytest.raises(ReveilleError, match="did not end"):
        look(f"setsid sleep 300 & echo $! > {mark}; wait", timeout_seconds=0.5)
    deadline = time.monotonic() + 5
    while psutil.pid_exists(int(mark.read_text())) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not psutil.pid_exists(int(mark.read_text()))


def test_a_program_that_is_not_there_says_so() -> None:
    with pytest.raises(ReveilleError, match="ended with status 127"):
        CheckConfig(name="it").look_with(None, check_resources(checks={"it": ["/nonexistent"]}))
    assert CHILD_GUARD.is_file()


def test_only_what_the_operator_listed_can_be_named_and_agents_need_leave() -> None:
    with pytest.raises(InvalidField, match="REVEILLE_CHECKS"):
        parse_config(CheckConfig, {"name": "it"}, CheckContext(NOW))
    listed = Permitted({"it": ["/bin/true"]})
    assert parse_config(CheckConfig, {"name": "it"}, CheckContext(NOW, permitted=listed))
    with pytest.raises(InvalidField, match="REVEILLE_AGENT_KINDS"):
        parse_config(CheckConfig, {"name": "it"}, CheckContext(NOW, permitted=listed, by_agent=True))
    leave = Permitted({"it": ["/bin/true"]}, agent_kinds=frozenset({"check"}))
    assert parse_config(CheckConfig, {"name": "it"}, CheckContext(NOW, permitted=leave, by_agent=True))
    with pytest.raises(CheckFailed, match="REVEILLE_CHECKS"):
        CheckConfig(name="it").look_with(None, check_resources())


@settings(max_examples=100, deadline=None)
@given(
    st.binary(max_size=100)
    | st.recursive(st.none() | st.text(), st.lists).map(lambda v: json.dumps({"fire": v}).encode())
)
def test_whatever_is_printed_fires_is_silent_or_fails(output: bytes) -> None:
    try:
        sighting = _check_result(output, NEW)
    except CheckFailed:
        return
    assert json.dumps([sighting.cursor, sighting.data])
