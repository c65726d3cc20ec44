from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from threading import Event

import psutil
import psycopg
import pytest

from scheduler import children, supervisor
from scheduler.children import Child
from scheduler.domain.errors import ConfigurationError
from scheduler.postgres.data_directory import remedy_for
from scheduler.postgres.embedded import EmbeddedPostgres
from scheduler.postgres.os_account import user_name
from scheduler.supervisor import Supervisor, check_port, data_directory_lock, secret_key
from tests.support.postgres import UNSAFE_BUT_FAST
from tests.support.web import free_port

ROOT = Path(__file__).parents[3]


class Lines:
    """The lines that children printed, and a way to react to them."""

    def __init__(self) -> None:
        self.all: list[str] = []
        self.on: dict[str, Callable[[], None]] = {}

    def write(self, line: str) -> None:
        self.all.append(line)
        for text, action in self.on.items():
            if text in line:
                action()


@pytest.fixture
def lines() -> Lines:
    return Lines()


def child(lines: Lines, name: str, code: str) -> Child:
    return Child(name, [sys.executable, "-c", textwrap.dedent(code)], cwd=ROOT, environment={}, write=lines.write)


SLEEPER = "import time; print('up'); time.sleep(600)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up'); time.sleep(600)"


def test_a_taken_port_is_refused_with_the_remedy() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=rf"Port {port} .*PORT={port + 1} make run"):
            check_port(port)
    check_port(port)


def test_one_run_at_a_time_holds_a_data_directory(tmp_path: Path) -> None:
    refused = pytest.raises(ConfigurationError, match=f"process {os.getpid()}")
    with data_directory_lock(tmp_path), refused, data_directory_lock(tmp_path):
        pass
    with data_directory_lock(tmp_path):
        pass


def test_the_secret_key_is_made_once_and_for_our_eyes_only(tmp_path: Path) -> None:
    (tmp_path / "secret.new").write_text("of an interrupted start", encoding="ascii")
    key = secret_key(tmp_path)
    assert secret_key(tmp_path) == key
    assert len(key.get_secret_value()) >= 43
    assert stat.S_IMODE((tmp_path / "secret.key").stat().st_mode) == 0o600


def test_lines_carry_the_name_of_their_child_and_all_stops_on_demand(lines: Lines) -> None:
    stop = Event()
    lines.on["worker | up"] = stop.set
    web, worker = child(lines, "web", "print('to out')\n" + SLEEPER), child(lines, "worker", SLEEPER)
    assert Supervisor([web, worker], None, stop).run() == 0
    assert set(lines.all) <= {"web    | to out", "web    | up", "worker | up"}
    assert web.pid is None
    assert worker.pid is None


def test_a_child_that_died_is_started_again(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "FIRST_PAUSE", 0.05)
    stop = Event()
    lines.on["up"] = lambda: stop.set() if lines.all.count("web    | up") == 3 else None
    assert Supervisor([child(lines, "web", "print('up'); raise SystemExit(7)")], None, stop).run() == 0
    assert lines.all.count("web    | up") >= 3


def test_a_child_whose_configuration_is_wrong_ends_the_run(lines: Lines) -> None:
    web, worker = child(lines, "web", "print('bad'); raise SystemExit(2)"), child(lines, "worker", SLEEPER)
    assert Supervisor([web, worker], None, Event()).run() == 2
    assert "web    | bad" in lines.all
    assert worker.pid is None


def test_a_child_that_will_not_stop_is_killed(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "STOP_SECONDS", 0.3)
    stop = Event()
    lines.on["up"] = stop.set
    stubborn = child(lines, "web", STUBBORN)
    assert Supervisor([stubborn], None, stop).run() == 0
    assert stubborn.pid is None


@pytest.mark.parametrize("hands_back", [True, False])
def test_a_second_ctrl_c_hurries_children_and_a_third_kills_them(
    lines: Lines, monkeypatch: pytest.MonkeyPatch, hands_back: bool
) -> None:
    monkeypatch.setattr(supervisor, "HURRY_SECONDS", 600.0)
    code = f"""
        import signal, time
        signal.signal(signal.SIGTERM, lambda *_: print("waits"))
        signal.signal(signal.SIGINT, lambda *_: print("hurries") or {hands_back} and exit())
        print("up")
        time.sleep(600)
    """
    stop = Event()
    lines.on["up"] = lines.on["waits"] = stop.set
    if not hands_back:
        lines.on["hurries"] = stop.set
    web = child(lines, "web", code)
    assert Supervisor([web], None, stop).run() == 0
    assert web.pid is None
    assert [line.split()[-1] for line in lines.all] == ["up", "waits", "hurries"]


def test_what_a_dead_child_had_started_is_ended_too(lines: Lines) -> None:
    code = """
        import subprocess, sys
        grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        print(grandchild.pid, flush=True)
    """
    stop = Event()
    lines.on["web"] = stop.set
    Supervisor([child(lines, "web", code)], None, stop).run()
    grandchild = int(lines.all[0].split("|")[1])
    assert not _lives(grandchild)


def test_a_postgresql_that_died_is_started_again(tmp_path: Path) -> None:
    postgres = EmbeddedPostgres(tmp_path, UNSAFE_BUT_FAST)
    url = postgres.start()
    stop = Event()
    seen: list[int] = []

    def look() -> bool:
        pid = postgres.pid
        if pid is not None and pid not in seen:
            seen.append(pid)
            if len(seen) == 1:
                os.kill(pid, signal.SIGKILL)
        if len(seen) == 2:
            stop.set()
        return False

    try:
        assert Supervisor([], postgres, stop, ready=look).run() == 0
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
    finally:
        postgres.stop()


def test_a_postgresql_that_cannot_be_started_is_retried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For example because its disk is full: the run continues, and the database returns once it can start."""
    monkeypatch.setattr(supervisor, "DATABASE_PAUSE_SECONDS", 0.1)
    postgres = EmbeddedPostgres(tmp_path, UNSAFE_BUT_FAST)
    postgres.start()
    stop = Event()
    file, moved = postgres.directory / "PG_VERSION", tmp_path / "moved"
    before = postgres.pid
    looks: list[int | None] = []

    def look() -> bool:
        looks.append(postgres.pid)
        if len(looks) == 1 and before is not None:
            file.rename(moved)
            os.kill(before, signal.SIGKILL)
        elif len(looks) == 5:
            moved.rename(file)
        elif len(looks) > 5 and postgres.pid is not None:
            stop.set()
        return False

    try:
        assert Supervisor([], postgres, stop, ready=look).run() == 0
        assert postgres.pid not in (None, before)
    finally:
        postgres.stop()


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class Running:
    """`reveille run` with stand-ins for web and worker, in a separate process."""

    def __init__(self, data_dir: Path) -> None:
        environment = {"PATH": os.defpath, "REVEILLE_DATA_DIR": str(data_dir), "PORT": str(free_port())}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.commands.run_with_stand_ins", "run"],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []

    def wait_for(self, *texts: str) -> None:
        """Reads the console until it contains each of `texts`."""
        assert self.process.stdout is not None
        while not all(any(text in line for line in self.lines) for text in texts):
            line = self.process.stdout.readline()
            assert line, self.lines
            self.lines.append(line.rstrip())

    def family(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data dir"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_ready_run_says_what_to_try_and_a_signal_stops_it(data_dir: Path, number: signal.Signals) -> None:
    running = Running(data_dir)
    with running.process as process:
        running.wait_for("try it")
        said = "\n".join(running.lines).partition("try it")[0]
        assert "worker | key 43 postgresql://reveille@" in said
        assert said.index("prepared by") < said.index("Reveille listens on http://127.0.0.1:")
        family = running.family()
        assert len(family) > 2
        process.send_signal(number)
        rest, _ = process.communicate(timeout=60)
    assert process.returncode == 0, rest
    assert rest.endswith(f"Reveille has stopped; its data is kept in {data_dir}.\n")
    assert not [member for member in family if _lives(member.pid)]
    assert (data_dir / "postgres" / "PG_VERSION").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_a_killed_run_takes_its_children_along_and_the_next_finds_its_database(data_dir: Path) -> None:
    first = Running(data_dir)
    with first.process as process:
        first.wait_for("Reveille listens", "worker | key")
        kept = {member.pid for member in first.family() if member.name() == "postgres"}
        others = [member for member in first.family() if member.pid not in kept]
        assert len(others) == 2
        process.kill()
    _, alive = psutil.wait_procs(others, timeout=20)
    assert not alive
    second = Running(data_dir)
    with second.process as process:
        second.wait_for("Reveille listens", "worker | key")
        postgres = EmbeddedPostgres(data_dir)
        assert (postgres.directory / "postmaster.pid").read_text(encoding="utf-8").split("\n")[0] in map(str, kept)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 0


def test_a_lock_or_key_that_may_not_be_used_is_one_line_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "reveille.lock").mkdir()
    with pytest.raises(ConfigurationError, match="REVEILLE_DATA_DIR"), data_directory_lock(tmp_path):
        pass
    (tmp_path / "secret.key").mkdir()
    with pytest.raises(ConfigurationError, match=r"secret\.key may not be used"):
        secret_key(tmp_path)


def test_another_owner_is_the_remedy_only_in_a_place_of_our_own_and_not_for_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ("chown" in remedy_for(tmp_path)) == (os.geteuid() != 0)
    monkeypatch.setattr(os, "geteuid", lambda: 65534)
    assert f"chown -R {user_name(65534)} '{tmp_path}'" in remedy_for(tmp_path)
    monkeypatch.setattr(os, "access", lambda path, _mode: path != tmp_path.parent)
    assert "chown" not in remedy_for(tmp_path)
    assert "chown" not in remedy_for(tmp_path / "absent")
