"""The command when it cannot write, read or encode: at most one line, and never a traceback."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.acceptance.tools import command, environment

FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full")


def ended(done: subprocess.CompletedProcess[bytes]) -> tuple[int, list[str]]:
    """Returns the exit code and the lines on stderr, none of which belongs to a traceback."""
    lines = (done.stderr or b"").decode("latin-1").splitlines()
    assert not any("Traceback" in line or "Exception" in line for line in lines), lines
    return done.returncode, lines


@needs_full
@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["doctor"], ["doctor", "--json"], ["preview"]])
def test_a_full_disk_is_told_in_one_line(arguments: list[str], tmp_path: Path) -> None:
    settings = environment(REVEILLE_DATA_DIR=str(tmp_path), PORT="9")
    with FULL.open("wb") as full:
        done = subprocess.run(
            command(*arguments), input=b"{}\n", stdout=full, stderr=subprocess.PIPE, env=settings, timeout=60
        )
        code, lines = ended(done)
        assert (code, len(lines)) == (1, 1)
        assert "No space left on device" in lines[0]
        mute = subprocess.run(
            command(*arguments), stdin=subprocess.DEVNULL, stdout=full, stderr=full, env=settings, timeout=60
        )
    assert mute.returncode in (0, 1)


@needs_full
def test_an_error_that_cannot_be_printed_keeps_its_exit_code() -> None:
    with FULL.open("wb") as full:
        assert subprocess.run(command("frobnicate"), stderr=full, env=environment(), timeout=60).returncode == 2


@pytest.mark.parametrize("arguments", [["--help"], ["doctor"], ["preview"]])
def test_a_closed_pipe_ends_the_command_quietly(arguments: list[str], tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            command(*arguments),
            input=b"{}\n" * 10,
            stdout=writer,
            stderr=subprocess.PIPE,
            env=environment(REVEILLE_DATA_DIR=str(tmp_path), PORT="9"),
            timeout=60,
        )
    finally:
        os.close(writer)
    assert ended(done) == (1, [])


def test_closed_streams_do_no_harm(tmp_path: Path) -> None:
    shell = 'exec "$@" <&- >&- 2>&-'
    done = subprocess.run(
        ["sh", "-c", shell, "sh", *command("doctor")],
        env=environment(REVEILLE_DATA_DIR=str(tmp_path), PORT="9"),
        timeout=60,
    )
    assert done.returncode in (0, 1)


@pytest.mark.parametrize(
    "charset",
    [
        {"LC_ALL": "C"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "latin-1"},
    ],
)
def test_a_character_that_the_locale_lacks_is_replaced(charset: dict[str, str], tmp_path: Path) -> None:
    place = tmp_path / "Ädä–€ 夜"
    place.mkdir()
    settings = environment(REVEILLE_DATA_DIR=str(place), PORT="9", **charset)
    done = subprocess.run(command("doctor"), capture_output=True, env=settings, timeout=60)
    assert ended(done)[1] == []
    assert b"data directory" in done.stdout
    missing = subprocess.run(
        command("agents", "list", "--url", "http://127.0.0.1:1/夜"), capture_output=True, env=settings, timeout=60
    )
    assert ended(missing)[0] == 5


@pytest.mark.parametrize(
    "arguments",
    [
        [b"agents", b"show", b"\xff"],
        [b"agents", b"list", b"--key", "é".encode()],
        [b"agents", b"list", b"--url", b"http://"],
        [b"agents", b"create", b"x", b"--runtime", b'{"a": NaN}'],
        [b"agents", b"create", b"x", b"--runtime", b'{"a": "\\ud800"}'],
        [b"agents", b"create", b"x", b"--runtime", b"[" * 50_000],
        [b"agents", b"create", b"x", b"--command", b"y", b"--window", b"1" + b"0" * 400 + b"s"],
        [b"agents", b"create", b"x", b"--runtime", b"@/"],
    ],
)
def test_an_argument_that_cannot_be_sent_is_a_usage_error(arguments: list[bytes]) -> None:
    line = [*map(os.fsencode, command()), *arguments]
    code, lines = ended(subprocess.run(line, capture_output=True, env=environment(), timeout=60))
    assert (code, len(lines)) == (2, 1)


def test_ctrl_c_exits_with_130_and_prints_nothing() -> None:
    with subprocess.Popen(
        command("preview"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"{}\n")
        process.stdin.flush()
        assert process.stdout.readline()  # it is working
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (130, b"")
