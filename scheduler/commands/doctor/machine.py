"""The doctor's checks of this machine: Python, the data directory, the port, and whether PostgreSQL runs."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

import httpx
import psutil

from config.settings import Settings
from scheduler.commands.client import LOCAL
from scheduler.commands.doctor.findings import Finding, fail, ok, warn
from scheduler.domain.errors import ConfigurationError
from scheduler.postgres import data_directory
from scheduler.postgres.embedded import MAJOR, EmbeddedPostgres, binaries
from scheduler.supervisor import check_port

MIN_PYTHON = (3, 11)
DEFAULT_PORTS = {"http": 80, "https": 443}


def check_python(version: tuple[int, int] = sys.version_info[:2]) -> Finding:
    """Checks whether this Python is new enough."""
    text = f"Python {platform.python_version()} ({sys.executable})"
    if version >= MIN_PYTHON:
        return ok("python", text)
    return fail("python", text, f"use Python {MIN_PYTHON[0]}.{MIN_PYTHON[1]} or newer")


def check_data_dir(path: Path) -> Finding:
    """Checks whether the data directory can be used."""
    if not path.exists():
        return warn("data directory", f"{path} does not exist", "`reveille run` creates it")
    if not path.is_dir() or not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        return fail(
            "data directory",
            f"{path} is not a directory that this user may read and write",
            "change its owner, or choose another with REVEILLE_DATA_DIR",
        )
    return ok("data directory", str(path))


def check_embedded(server: EmbeddedPostgres) -> Finding:
    """Checks whether the embedded PostgreSQL exists, has this version, and is running."""
    name = "embedded PostgreSQL"
    try:
        binaries()
    except ConfigurationError as error:
        return fail(name, error.message, "set DATABASE_URL")
    try:
        version = data_version(server.directory)
    except ConfigurationError as error:
        return fail(name, error.message, "change its owner, or run this as the user that runs Reveille")
    if version is None:
        return warn(name, f"{server.directory} contains no database yet", "`reveille run` creates it")
    if version != MAJOR:
        return fail(
            name,
            f"the data was created by PostgreSQL {version}, this is {MAJOR}",
            "`reveille doctor --upgrade-database`",
        )
    if not is_running(server.directory):
        return warn(name, f"PostgreSQL {version} on {server.directory} is not running", "start it: `reveille run`")
    return ok(name, f"PostgreSQL {version} runs on {server.directory}")


def check_web(settings: Settings) -> Finding:
    """Checks whether this Reveille answers on its port, or could; names another one or another program there."""
    port = local_port(settings)
    url = f"http://127.0.0.1:{port}"
    try:
        with httpx.Client(mounts=dict.fromkeys(LOCAL), timeout=2) as client:
            answer = client.get(f"{url}/readyz")
    except httpx.TransportError:
        return _check_free(port, settings.host)
    if not _is_reveille(answer):
        return fail("web", f"something else answers at {url}", "stop it, or choose another port with PORT")
    if _is_another(settings, port):
        return fail(
            "web",
            f"another Reveille answers at {url}, on another database",
            "stop it, or choose another port with PORT",
        )
    return ok("web", f"Reveille answers at {url}")


def local_port(settings: Settings) -> int:
    """Returns this Reveille's port: PORT, else that of a REVEILLE_URL on this machine, else the default."""
    url = httpx.URL(settings.url)
    if "port" in settings.model_fields_set or url.host not in ("127.0.0.1", "localhost", "::1"):
        return settings.port
    return url.port or DEFAULT_PORTS[url.scheme]


def _is_reveille(answer: httpx.Response) -> bool:
    try:
        body = answer.json()
    except ValueError:
        return False
    return isinstance(body, dict) and isinstance(body.get("checks"), dict) and "database" in body["checks"]


def _is_another(settings: Settings, port: int) -> bool:
    """Whether the process on the port uses another database. False when that cannot be determined."""
    embedded = EmbeddedPostgres(settings.data_dir)
    if settings.database_url is None and not is_running(embedded.directory):
        return True
    ours = settings.database_url or embedded.url
    try:
        listening = [
            each.pid
            for each in psutil.net_connections("tcp")
            if each.status == psutil.CONN_LISTEN and each.laddr[1:] == (port,) and each.pid is not None
        ]
        theirs = [psutil.Process(pid).environ().get("DATABASE_URL") for pid in listening]
    except (psutil.Error, OSError):
        return False
    known = [url.replace("postgres://", "postgresql://", 1) for url in theirs if url]
    return bool(known) and ours not in known


def data_version(directory: Path) -> int | None:
    """Returns the major version of a database's files; None when there are none."""
    try:
        return int((directory / "PG_VERSION").read_text(encoding="ascii"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{directory / 'PG_VERSION'} cannot be read: {error}.") from None


def is_running(directory: Path) -> bool:
    """Whether a PostgreSQL server runs on these files."""
    pid = data_directory.recorded_pid(directory)
    return pid is not None and data_directory.is_server(pid, directory)


def _check_free(port: int, host: str | None) -> Finding:
    try:
        check_port(port, host)
    except ConfigurationError as error:
        return fail(
            "web",
            error.message,
            f"another program uses it: find it with `lsof -i :{port}`, or choose another port with PORT",
        )
    return warn("web", f"nothing is listening on port {port}", "start it: `reveille run` or `reveille web`")
