"""`reveille doctor --upgrade-database`: upgrades an embedded database of another PostgreSQL version.

The old files are kept beside the new ones; nothing is deleted.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scheduler.commands.doctor.machine import data_version, is_running
from scheduler.domain.errors import ConfigurationError, Conflict, ReveilleError
from scheduler.postgres.embedded import INITDB, MAJOR, NAME, SHORT_DIRECTORY, SUPERUSER, EmbeddedPostgres, binaries
from scheduler.postgres.os_account import Account, choose_account
from scheduler.supervisor import data_directory_lock

IN_DIRECTORY = 'cd "$1" && shift && exec "$@"'
"""pg_upgrade writes to its working directory."""


def upgrade_database(data_dir: Path) -> str:
    """Upgrades the database in `data_dir` if necessary; returns a line about the result.

    Raises ReveilleError with manual steps when this installation lacks the programs of the old version.
    """
    data = EmbeddedPostgres(data_dir).directory
    old = data_version(data)
    if old is None:
        return f"There is no embedded database in {data_dir}: nothing to upgrade."
    if old == MAJOR:
        return f"The database in {data} is PostgreSQL {old}'s, as it should be: nothing to upgrade."
    with data_directory_lock(data_dir):
        if is_running(data):
            raise Conflict(f"PostgreSQL {old} is running on {data}; stop it first.")
        kept = data.with_name(f"{data.name}.{old}")
        if kept.exists():
            raise Conflict(f"{kept} already exists from an earlier upgrade; move it elsewhere first.")
        programs = programs_of(old)
        if programs is None:
            raise ReveilleError(_by_hand(data, kept, old))
        made = _upgraded_copy(data, programs)
        data.rename(kept)
        made.rename(data)
    return (
        f"The database in {data} is PostgreSQL {MAJOR}'s now. The old files are in {kept}; keep them for a while."
    )


def programs_of(major: int) -> Path | None:
    """Returns the directory of another version's programs, which some wheels include for upgrades."""
    package = binaries().parents[1]
    account = Account(os.geteuid(), os.getegid())
    for postgres in sorted(package.glob("pginstall*/bin/postgres")):
        _, version = account.run(postgres, "--version")
        if f" {major}." in version:
            return postgres.parent
    return None


def _by_hand(data: Path, kept: Path, old: int) -> str:
    connection = f"-h '{data}' -U {NAME} {NAME}"
    return (
        f"This installation has no programs of PostgreSQL {old}, which created {data}, so it cannot read it.\n"
        f"1. With the Reveille that you used before, while it runs:"
        f" pg_dump --clean --if-exists {connection} > reveille.sql\n"
        f"2. Stop it, and move the files aside: mv '{data}' '{kept}'\n"
        f"3. With this one, while `reveille run` runs: psql {connection} < reveille.sql\n"
        f"4. Stop it, and start it again."
    )


def _upgraded_copy(data: Path, old_programs: Path) -> Path:
    """Returns a copy of `data` in this version's format, beside it."""
    programs = binaries()
    account = choose_account(data, programs / "postgres", old_programs / "postgres", data.parent)
    made = data.with_name(f"{data.name}.new")
    shutil.rmtree(made, ignore_errors=True)  # left over from a failed upgrade
    made.mkdir(mode=0o700)
    os.chown(made, account.uid, account.gid)
    checksums = () if _has_checksums(account, old_programs, data) else ("--no-data-checksums",)
    _run(account, programs / "initdb", f"--pgdata={made}", *INITDB, *checksums)
    with _private_directory(account) as work:
        settings = " ".join(f"-c {name}={work / file}" for name, file in _allow_only(account, work).items())
        _run(
            account, "sh", "-c", IN_DIRECTORY, "sh", work, programs / "pg_upgrade", f"--username={SUPERUSER}",
            f"--old-bindir={old_programs}", f"--new-bindir={programs}", f"--old-datadir={data}",
            f"--new-datadir={made}", f"--old-options={settings}", f"--new-options={settings}",
        )  # fmt: skip
    return made


def _has_checksums(account: Account, programs: Path, data: Path) -> bool:
    report = _run(account, programs / "pg_controldata", data)
    return not any(
        line.startswith("Data page checksum version:") and line.endswith(" 0") for line in report.splitlines()
    )


@contextmanager
def _private_directory(account: Account) -> Iterator[Path]:
    """Returns a short private path, since a socket's address must fit in 103 bytes."""
    with tempfile.TemporaryDirectory(prefix="reveille-upgrade-", dir=SHORT_DIRECTORY) as path:
        os.chown(path, account.uid, account.gid)
        yield Path(path)


def _allow_only(account: Account, work: Path) -> dict[str, str]:
    """Allows only `account` to connect: returns the settings and the files that they name."""
    files = {
        "hba_file": ("hba.conf", f"local all all peer map={NAME}\n"),
        "ident_file": ("ident.conf", f'{NAME} "{account.name}" {SUPERUSER}\n'),
    }
    for file, content in files.values():
        (work / file).write_text(content, encoding="utf-8")
        (work / file).chmod(0o644)
    return {setting: file for setting, (file, _) in files.items()}


def _run(account: Account, *command: str | Path) -> str:
    status, output = account.run(*command)
    if status != 0:
        lines = [line.strip() for line in output.splitlines() if line.strip()] or ["it said nothing"]
        name = Path(next(str(part) for part in command if "/bin/" in str(part))).name
        raise ConfigurationError(f"The database could not be upgraded, {name} failed: {' '.join(lines[-4:])}")
    return output
