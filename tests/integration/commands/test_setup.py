"""How tools/setup handles the browser of the tests, run on a copy with stand-in installers."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
NEEDED = ("sh", "cat", "cksum", "dirname", "id", "rm", "touch")
SERVERS = ("pgbouncer", "dovecot", "redis-server", "libfaketime")
"""These do not depend on the browser."""
PYTHON = """#!/bin/sh
case "$*" in
    *"playwright install"*) echo tried >>tries; {install} ;;
    *executable_path*) [ -e playwrights-chromium ] ;;
esac
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Creates a copy of tools/setup in which every package installation succeeds and there is no Chromium."""
    for directory in ("tools", "requirements", ".venv/bin", "bin"):
        (tmp_path / directory).mkdir(parents=True)
    shutil.copy(ROOT / "tools/setup", tmp_path / "tools/setup")
    for name in ("runtime.txt", "embedded.txt", "dev.txt"):
        (tmp_path / "requirements" / name).touch()
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / ".venv/place").write_text(f"{tmp_path}\n")
    for name in NEEDED:
        found = shutil.which(name)
        assert found is not None
        (tmp_path / "bin" / name).symlink_to(found)
    for server in SERVERS:
        (tmp_path / "bin" / server).touch(mode=0o755)
    return tmp_path


def set_up(copy: Path, *, can_install: bool, ci: str = "", what: str = "dev") -> subprocess.CompletedProcess[str]:
    python = copy / ".venv/bin/python"
    python.write_text(PYTHON.format(install="touch playwrights-chromium" if can_install else "exit 1"))
    python.chmod(0o755)
    environ = {"PATH": str(copy / "bin"), "CI": ci, "HOME": str(copy)}
    return subprocess.run(
        [str(copy / "tools/setup"), what], env=environ, capture_output=True, text=True, check=False, cwd=copy
    )


def tries(copy: Path) -> int:
    log = copy / "tries"
    return len(log.read_text().splitlines()) if log.exists() else 0


def test_a_browser_is_installed_once(copy: Path) -> None:
    assert set_up(copy, can_install=True).returncode == 0
    assert tries(copy) == 1
    second = set_up(copy, can_install=True, ci="true")
    assert (second.returncode, "Chromium" in second.stderr, tries(copy)) == (0, False, 1)


def test_without_a_browser_one_line_says_what_is_skipped_and_it_is_not_retried_by_itself(copy: Path) -> None:
    first = set_up(copy, can_install=False)
    assert first.returncode == 0
    second = set_up(copy, can_install=False)
    assert (second.returncode, tries(copy)) == (0, 1)
    assert second.stderr.count("Chromium") == 1
    assert "browser tests are skipped" in second.stderr
    set_up(copy, can_install=True, what="again")
    assert "browser tests are skipped" not in set_up(copy, can_install=True).stderr


def test_on_a_build_server_a_missing_browser_fails(copy: Path) -> None:
    set_up(copy, can_install=False)
    failed = set_up(copy, can_install=False, ci="true")
    assert failed.returncode == 1
    assert "Chromium" in failed.stderr.splitlines()[-1]
    assert tries(copy) == 2


def test_the_systems_browser_is_taken(copy: Path) -> None:
    browser = copy / "bin" / "chromium"
    browser.write_text("#!/bin/sh\necho Chromium 150\n")
    browser.chmod(0o755)
    assert set_up(copy, can_install=False, ci="true").returncode == 0
    assert tries(copy) == 0
    assert not (copy / ".venv/installed-browser").exists()


SLOW_PIP = """#!/bin/sh
case "$*" in *"pip install"*runtime.txt*)
    echo "Collecting one"; echo "Collecting two"
    for _ in $LONG; do [ -e shown ] || sleep 0.1; done ;;
esac
"""


def test_a_terminal_shows_what_pip_does_in_one_line(copy: Path) -> None:
    for name in ("wc", "tail", "grep", "sleep"):
        found = shutil.which(name)
        assert found is not None
        (copy / "bin" / name).symlink_to(found)
    python = copy / ".venv/bin/python"
    python.write_text(SLOW_PIP)
    python.chmod(0o755)
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [str(copy / "tools/setup")],
        env={"PATH": str(copy / "bin"), "HOME": str(copy), "LONG": "x " * 600},
        stderr=theirs,
        cwd=copy,
    ) as process:
        os.close(theirs)
        shown = b""
        with suppress(OSError):  # Linux reports the end of the other side so
            while chunk := os.read(ours, 1000):
                shown += chunk
                if "downloading 2 packages …".encode() in shown:
                    (copy / "shown").touch()
    os.close(ours)
    assert process.returncode == 0
    assert shown.count(b"\n") == 1  # the line about the dependencies
    assert shown.endswith(b"\r\x1b[K")
