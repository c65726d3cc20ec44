"""Implements `reveille run`: starts, watches and stops the database, web server and worker of one machine."""

from __future__ import annotations

import fcntl
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Lock
from types import FrameType
from typing import TextIO

import psycopg
from loguru import logger
from pydantic import SecretStr

from config.installation import ROOT, run_command
from config.settings import Settings, child_environment
from scheduler.announcement import Announcement
from scheduler.children import Child
from scheduler.domain.errors import ConfigurationError
from scheduler.postgres.data_directory import ensure_directory, remedy_for
from scheduler.postgres.embedded import EmbeddedPostgres, binaries
from scheduler.storage.migrate import upgrade

COMMANDS = {
    "web": [sys.executable, "-P", "-m", "gunicorn", "-c", "config/gunicorn.py", "api.app:create_app()"],
    "worker": [sys.executable, "-m", "scheduler.cli", "worker"],
}
LOOPBACK = "127.0.0.1"
DEFAULT_PORT, PRIVILEGED, LAST_PORT = 8080, 1024, 65535
STOP_SECONDS = 25.0
HURRY_SECONDS = 5.0
TICK_SECONDS = 0.2
DATABASE_PAUSE_SECONDS = 3.0
"""The seconds between attempts to start a failing database."""
USAGE_STATUS = 2
"""A child exits with this status when its configuration is wrong, so that restarting it would not help."""

Prepare = Callable[[Settings], tuple[list[str], list[str]]]
"""Prepares the migrated database; returns the lines to print at once, and those to print when all is ready."""


def run(settings: Settings, prepare: Prepare) -> int:
    """Runs everything until Ctrl-C or SIGTERM and returns the exit status.

    Starts an embedded PostgreSQL if DATABASE_URL is not set. Calls `prepare` once, with the settings that the
    children get. Raises ConfigurationError, before anything is started, when the port or the data directory is
    unavailable.
    """
    settings = settings.model_copy(update={"host": settings.host or LOOPBACK})
    with stop_signals() as stop:
        if settings.database_url is not None:
            settings.for_server()
            check_port(settings.port, settings.host)
            status = _serve(settings, prepare, stop, None)
            return _say_goodbye(status, "in the database")
        binaries()
        with data_directory_lock(settings.data_dir):
            check_port(settings.port, settings.host)
            postgres = EmbeddedPostgres(settings.data_dir)
            try:
                with_database = settings.model_copy(
                    update={
                        "database_url": postgres.start(),
                        "secret_key": settings.secret_key or secret_key(settings.data_dir),
                    }
                )
                status = _serve(with_database, prepare, stop, postgres)
            finally:
                postgres.stop()
            return _say_goodbye(status, f"in {settings.data_dir}")


def _say_goodbye(status: int, place: str) -> int:
    if status == 0:
        Console().write(f"Reveille has stopped; its data is kept {place}.")
    return status


def check_port(port: int, host: str | None = None) -> None:
    """Raises ConfigurationError with a remedy when `port` on `host` is in use or not permitted."""
    host = host or LOOPBACK
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ConfigurationError(
                f"Port {port} of {host} cannot be used ({error.strerror}): stop the program that uses it, "
                "or choose another: "
                f"PORT={port + 1 if PRIVILEGED <= port < LAST_PORT else DEFAULT_PORT} {run_command()}"
            ) from None


@contextmanager
def data_directory_lock(data_dir: Path) -> Iterator[None]:
    """Locks the data directory, which only one `reveille run` may use at a time; raises ConfigurationError if it
    is taken.
    """
    ensure_directory(data_dir)
    with _explained(data_dir / "reveille.lock"):
        file = (data_dir / "reveille.lock").open("a+", encoding="ascii")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise ConfigurationError(
                f"Reveille is already running on {data_dir} (process {file.read().strip()}); "
                "stop it, or choose another directory with REVEILLE_DATA_DIR."
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Converts a file error in the data directory into a ConfigurationError with a remedy."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ConfigurationError(f"{path} may not be used: {error.strerror}; {remedy_for(path.parent)}") from None


def secret_key(data_dir: Path) -> SecretStr:
    """Returns the key that encrypts stored secrets. It is created on the first start in `data_dir/secret.key`."""
    path = data_dir / "secret.key"
    with suppress(FileNotFoundError), _explained(path):
        return SecretStr(path.read_text(encoding="ascii").strip())
    key = secrets.token_urlsafe(32)
    unfinished = path.with_suffix(".new")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(
        os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii"
    ) as file:
        file.write(f"{key}\n")
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(path)
    return SecretStr(key)


def _serve(
    settings: Settings,
    prepare: Prepare,
    stop: Event,
    postgres: EmbeddedPostgres | None,
) -> int:
    upgrade(settings.sqlalchemy_url)
    console = Console()
    at_once, when_ready = prepare(settings)
    for line in at_once:
        console.write(line)
    environment = child_environment(settings)
    children = [
        Child(
            name, command, cwd=ROOT, environment=environment, write=console.write, prefixed=not settings.log_json
        )
        for name, command in COMMANDS.items()
    ]
    return Supervisor(children, postgres, stop, ready=Announcement(settings, when_ready, console.write).make).run()


class Console:
    """The only writer to an output, so that the lines of several children do not mix."""

    def __init__(self, output: TextIO | None = None) -> None:
        """Writes to standard output unless another is given."""
        self._output = output or sys.stdout
        self._lock = Lock()

    def write(self, line: str) -> None:
        """Prints one line. Ignores errors when the reader or terminal has gone away."""
        with self._lock, suppress(OSError):
            self._output.write(f"{line}\n")
            self._output.flush()


class Supervisor:
    """Keeps the children, and the database if it is embedded, running until told to stop."""

    def __init__(
        self,
        children: Sequence[Child],
        postgres: EmbeddedPostgres | None,
        stop: Event,
        *,
        ready: Callable[[], bool] = lambda: True,
    ) -> None:
        """Calls `ready` after each check of the children until it returns true."""
        self._children = children
        self._postgres = postgres
        self._stop = stop
        self._ready = ready
        self._database_again_at = 0.0

    def run(self) -> int:
        """Watches until told to stop, then stops the children within 25 s and returns the exit status.

        Told a second time, it has the children hand back what they do, within 5 s; the third time it kills them.
        """
        announced = False
        try:
            while not self._stop.wait(TICK_SECONDS):
                self._keep_database()
                if any(child.check() == USAGE_STATUS for child in self._children):
                    return USAGE_STATUS
                announced = announced or self._ready()
            return 0
        finally:
            self._stop_children()

    def _keep_database(self) -> None:
        now = time.monotonic()
        if self._postgres is None or self._postgres.pid is not None or now < self._database_again_at:
            return
        logger.warning("PostgreSQL exited; restarting it")
        try:
            self._postgres.start()
        except (ConfigurationError, OSError, psycopg.Error) as error:  # e.g. the disk is full
            logger.error("PostgreSQL did not start; trying again in {:g} s: {}", DATABASE_PAUSE_SECONDS, error)
            self._database_again_at = time.monotonic() + DATABASE_PAUSE_SECONDS

    def _stop_children(self) -> None:
        self._stop.clear()
        for child in self._children:
            child.terminate()
        if self._wait_for_children(STOP_SECONDS):
            logger.warning("Stopping at once: runs are handed back")
            self._stop.clear()
            for child in self._children:
                child.interrupt()
            self._wait_for_children(HURRY_SECONDS)
        for child in self._children:
            child.kill()

    def _wait_for_children(self, seconds: float) -> bool:
        """Waits until all have stopped, or so long; returns whether it was told to stop meanwhile."""
        deadline = time.monotonic() + seconds
        while not all(child.has_stopped() for child in self._children):
            if self._stop.wait(TICK_SECONDS):
                return True
            if time.monotonic() > deadline:
                logger.warning("Not everything stopped in time; killing the rest")
                return False
        return False


@contextmanager
def stop_signals() -> Iterator[Event]:
    """Returns an event that is set by Ctrl-C, SIGTERM and a closed terminal, replacing their default handlers."""
    stop = Event()

    def note(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # started with nohup
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, note) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
