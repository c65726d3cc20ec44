"""The pure tools as a person would use them for debugging: JSON lines through a separate process."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import pytest

from tests.acceptance.tools import command, environment, feed

CRON = {
    "type": "cron",
    "config": {"expr": "0 0 * * *"},
    "timezone": "UTC",
    "after": "2026-01-01T00:00:00Z",
    "count": 1,
}


@pytest.mark.parametrize(
    ("tool", "line", "answer"),
    [
        ("preview", CRON, {"fire_times": ["2026-01-02T00:00:00+00:00"], "notes": []}),
        ("json-path", {"path": "$.a[*]", "document": {"a": [1, "2", None]}}, {"values": [1, "2", None]}),
        (
            "check-url",
            {"url": "http://a.example/", "resolve": {"a.example": ["1.1.1.1"]}},
            {"verdict": "allow", "address": "1.1.1.1"},
        ),
        (
            "check-url",
            {"url": "http://a.example/", "resolve": {"a.example": ["10.0.0.1"]}},
            {"verdict": "block"},
        ),
        (
            "verify-signature",
            {"scheme": "github", "secret": "s", "headers": {"X-Hub-Signature-256": "sha256=00"}, "body": "{}"},
            {"verdict": "reject"},
        ),
    ],
)
def test_a_line_is_answered_by_a_line(tool: str, line: dict[str, Any], answer: dict[str, Any]) -> None:
    code, answers, stderr = feed(tool, [json.dumps(line).encode()])
    assert (code, len(answers), stderr) == (0, 1, "")
    assert answers[0].items() >= answer.items()


@pytest.mark.parametrize("tool", ["preview", "json-path", "check-url", "verify-signature"])
def test_bad_lines_are_answered_in_their_places_and_the_rest_is_read(tool: str) -> None:
    bad = [
        b"",
        b"not json",
        b"[1]",
        b"null",
        b'{"url": NaN}',
        b"\xff\xfe",
        b'{"a":' * 100_000,
        b"9" * 10_000,
        b"{}",
        b'{"type": 1, "path": 1, "url": 1, "scheme": 1, "config": 1, "document": 1}',
    ]
    code, answers, stderr = feed(tool, [*bad, b'{"last": true}'])
    assert (code, stderr) == (0, "")
    assert len(answers) == len(bad) + 1
    assert all(set(answer) == {"error"} and answer["error"] for answer in answers)
    assert answers[0]["error"] != answers[2]["error"]


@contextmanager
def previewing() -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes], IO[bytes], IO[bytes]]]:
    """Yields a running `reveille preview` with its stdin, stdout and stderr."""
    with subprocess.Popen(
        command("preview"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    ) as process:
        assert process.stdin and process.stdout and process.stderr
        yield process, process.stdin, process.stdout, process.stderr


def ask(stdin: IO[bytes]) -> None:
    """Sends one line."""
    stdin.write(json.dumps(CRON).encode() + b"\n")
    stdin.flush()


def test_an_answer_comes_before_the_next_line_is_sent() -> None:
    with previewing() as (process, stdin, stdout, _):
        for _ in range(2):
            ask(stdin)
            assert json.loads(stdout.readline())["notes"] == []
        stdin.close()
        assert process.wait(30) == 0


def test_a_reader_that_leaves_ends_the_tool_quietly() -> None:
    with previewing() as (process, stdin, stdout, stderr):
        stdout.close()
        ask(stdin)
        stdin.close()
        assert process.wait(30) == 1
        assert stderr.read() == b""


def test_ctrl_c_ends_a_tool_quietly() -> None:
    # Started in the background, this process ignores Ctrl-C, and so would the tool.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with previewing() as (process, stdin, stdout, stderr):
        ask(stdin)
        stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert stderr.read() == b""
    signal.signal(signal.SIGINT, before)


def test_a_lone_surrogate_does_not_end_the_tool() -> None:
    line = b'{"path": "$", "document": "\\ud800"}'
    assert feed("json-path", [line]) == (0, [{"values": ["\ud800"]}], "")


def test_check_url_allows_what_the_operator_opened() -> None:
    line = b'{"url": "http://10.1.2.3/"}'
    code, (blocked, *_), _ = feed("check-url", [line])
    assert (code, blocked["verdict"]) == (0, "block")
    code, (allowed, *_), _ = feed("check-url", [line], REVEILLE_ALLOW_PRIVATE_HOSTS="10.0.0.0/8")
    assert (code, allowed["verdict"], allowed["address"]) == (0, "allow", "10.1.2.3")


@pytest.mark.parametrize("argument", ["--help", "preview", "json-path", "verify-signature"])
def test_help_and_tools_start_without_loading_what_they_do_not_need(argument: str) -> None:
    heavy = {"apscheduler", "flask", "httpx", "procrastinate", "psycopg", "rich", "sqlalchemy"}
    script = (
        "import sys; from scheduler.cli import run; code = run(sys.argv[1:]);"
        f"print(*sorted({heavy} & set(sys.modules)), file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, argument], input=b"", capture_output=True, env=environment(), timeout=60
    )
    assert (done.returncode, done.stderr) == (0, b"\n")
