from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from loguru import logger

from config.logging import configure_logging, redact

if TYPE_CHECKING:
    from loguru import Record


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Captures the logs of a test; restores logging afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield io.StringIO()
    logging.captureWarnings(False)
    logger.remove()
    root.handlers[:] = handlers
    root.setLevel(level)


def test_people_get_lines_with_level_and_text(stream: io.StringIO) -> None:
    configure_logging("INFO", stream=stream)
    logger.bind(agent="a1").info("woken {}", "now")
    logger.debug("not shown")
    (line,) = stream.getvalue().splitlines()
    assert line.endswith("INFO     woken now {'agent': 'a1'}")


def test_people_get_a_warning_that_repeats_once_a_minute_with_its_count(stream: io.StringIO) -> None:
    configure_logging("INFO", stream=stream)
    now = datetime(2030, 1, 1, tzinfo=UTC)

    def say(second: int, text: str, level: str = "WARNING") -> None:
        def set_time(record: Record) -> None:
            record["time"] = now + timedelta(seconds=second)

        logger.patch(set_time).log(level, text)

    for second in range(61):
        say(second, f"error connecting in 'pool-{second}'")
    say(61, "another")
    say(62, "woken", "INFO")
    say(63, "woken", "INFO")
    lines = [line.partition("  ")[2].strip() for line in stream.getvalue().splitlines()]
    assert lines == [
        "error connecting in 'pool-0'",
        "error connecting in 'pool-60' (repeated 59 times)",
        "another",
        "woken",
        "woken",
    ]


def test_an_error_with_its_traceback_is_never_held_back(stream: io.StringIO) -> None:
    configure_logging("INFO", stream=stream)
    for _ in range(2):
        try:
            raise KeyError("absent")
        except KeyError:
            logger.exception("failed")
    assert stream.getvalue().count("KeyError: 'absent'") == 2


def test_machines_get_one_json_object_a_line(stream: io.StringIO) -> None:
    configure_logging("INFO", as_json=True, stream=stream)
    logger.bind(agent="a1").warning("line one\nline two")
    try:
        raise KeyError("absent")
    except KeyError:
        logger.exception("failed")
    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert (first["level"], first["message"], first["agent"]) == ("WARNING", "line one\nline two", "a1")
    assert "KeyError: 'absent'" in second["exception"]


def test_the_logs_and_warnings_of_libraries_go_the_same_way(stream: io.StringIO) -> None:
    configure_logging("INFO", as_json=True, stream=stream)
    logging.getLogger("some.library").error("100 %s {braces} <tags>", "percent")
    logging.getLogger("httpx").info("every request")
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.warn("old ways", DeprecationWarning, stacklevel=1)
    library, warning = (json.loads(line) for line in stream.getvalue().splitlines())
    assert library["logger"] == "some.library"
    assert library["message"] == "100 percent {braces} <tags>"
    assert "old ways" in warning["message"]


@pytest.mark.parametrize("as_json", [False, True])
def test_no_variable_of_a_failing_frame_is_shown(stream: io.StringIO, as_json: bool) -> None:
    configure_logging("INFO", as_json=as_json, stream=stream)
    password = "hunter2"
    try:
        raise ValueError(f"{len(password)} characters")
    except ValueError:
        logger.exception("failed")
    assert "hunter2" not in stream.getvalue().replace('password = "hunter2"', "")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://user:hunter2@host/db down", "postgresql://user:***@host/db down"),
        ("Authorization: Bearer hunter2.abc", "Authorization: Bearer ***"),
        ("POST /hooks/hunter2_-x?a=1 202", "POST /hooks/***?a=1 202"),
        ("key whsec_hunter2+/=", "key whsec_***"),
        ("http://host:8080/agents", "http://host:8080/agents"),
        ("https://ghp_hunter2@host/x down", "https://***@host/x down"),
        ("POST https://u:hunter2@a.example/ to b@c.example", "POST https://u:***@a.example/ to b@c.example"),
        ("GET /ws?last=3&access_token=hunter2&x=1", "GET /ws?last=3&access_token=***&x=1"),
        ("https://a.example/?API-Key=hunter2' failed", "https://a.example/?API-Key=***' failed"),
        ("https://a.example/?q=token&monkey=1", "https://a.example/?q=token&monkey=1"),
        ("the key rvl_hunter2-_x is revoked", "the key rvl_*** is revoked"),
        ("Incorrect API key provided: sk-proj-hunter2_xy", "Incorrect API key provided: sk-***"),
        ("{'X-Api-Key': 'hunter2', 'accept': '*/*'}", "{'X-Api-Key': '***', 'accept': '*/*'}"),
        ('{"password": "hunter2", "n": 1}', '{"password": "***", "n": 1}'),
        ("Authorization: hunter2", "Authorization: ***"),
        ("cookie: session=hunter2; b=hunter2", "cookie: ***"),
        ("the task-force of risk-takers-unlimited", "the task-force of risk-takers-unlimited"),
    ],
)
def test_what_looks_like_a_secret_is_masked(text: str, shown: str) -> None:
    assert redact(text) == shown


def test_stderr_that_was_replaced_and_closed_gets_no_more_lines(
    stream: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = io.StringIO()
    monkeypatch.setattr("sys.stderr", first)
    configure_logging("INFO")
    first.close()
    monkeypatch.setattr("sys.stderr", stream)
    logger.info("woken")
    assert stream.getvalue().endswith("woken\n")
    assert "Logging error" not in stream.getvalue()
