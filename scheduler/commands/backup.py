"""`reveille backup` and `reveille restore`: the database and its secret key in one file, for any server."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scheduler.commands.exits import UsageFault
from scheduler.commands.output import say
from scheduler.commands.trigger_options import read_text
from scheduler.domain.errors import Conflict, DatabaseUnavailable

if TYPE_CHECKING:
    from config.settings import Settings

MIN_LENGTH = 8
"""The minimum length of a passphrase."""

File = Annotated[Path, typer.Argument(metavar="FILE", help="The backup.")]
Passphrase = Annotated[
    str | None,
    typer.Option(metavar="@FILE", help="Encrypts the key; otherwise prompted for, or read from a pipe."),
]


def register(app: typer.Typer) -> None:
    """Adds the commands to the root command."""
    app.command()(backup)
    app.command()(restore)


def backup(
    file: File,
    passphrase: Passphrase = None,
    without_key: Annotated[bool, typer.Option("--without-key", help="Leave the secret key out.")] = False,
) -> None:
    """Write the database and its secret key to a file.

    The service may keep running. Uses the database at DATABASE_URL, else the embedded one.
    """
    from config.settings import load_settings
    from scheduler.commands.backup_file import Manifest, write_backup
    from scheduler.domain.clock import SystemClock
    from scheduler.postgres.dump import dump

    settings = load_settings()
    if file.exists():
        raise UsageFault(f"{file} exists already; choose another name.")
    phrase = "" if without_key else _passphrase(passphrase, confirm=True)
    with at_database(settings, make=False) as url, tempfile.TemporaryDirectory(dir=file.absolute().parent) as work:
        key = None if without_key else _key(settings)
        manifest = Manifest(SystemClock().now().isoformat(), _revision(url))
        made = Path(work) / "dump"
        dump(url, made)
        write_backup(file, manifest, made, key, phrase)
    say(
        f"Wrote {file} ({file.stat().st_size:,} "
        f"bytes){'' if key is None else ', including the encrypted secret key'}."
    )


def restore(
    file: File,
    passphrase: Passphrase = None,
    key_file: Annotated[
        Path, typer.Option(metavar="FILE", help="With DATABASE_URL: where the secret key is written.")
    ] = Path("reveille.key"),
) -> None:
    """Restore a backup into an empty database.

    Uses the database at DATABASE_URL, else a new embedded one. Nothing may be running on it. The server may be
    older than the one that was backed up.
    """
    from config.settings import load_settings
    from scheduler.commands.backup_file import read_backup, unseal
    from scheduler.postgres.dump import load

    settings = load_settings()
    with tempfile.TemporaryDirectory() as work:
        manifest, dump, sealed = read_backup(file, Path(work))
        _check_revision(manifest.revision)
        key = None if sealed is None else unseal(sealed, _passphrase(passphrase, confirm=False))
        place = key_file if settings.database_url else settings.data_dir / "secret.key"
        writes = _check_key(settings, key, place)
        with at_database(settings, make=True) as url:
            _check_empty(url)
            load(dump, url)
            _finish(url, manifest.taken_at)
        if writes and key is not None:
            _write_key(place, key)
    say(f"Restored the backup of {manifest.taken_at}. To see what is late: `reveille doctor --after-restore`.")
    if writes and settings.database_url:
        say(f"The secret key is in {place}: start with REVEILLE_SECRET_KEY_FILE={place}")


@contextmanager
def at_database(settings: Settings, *, make: bool) -> Iterator[str]:
    """Returns the database's address: DATABASE_URL, or the embedded server, started if it is not running."""
    from scheduler.commands.doctor.machine import is_running
    from scheduler.postgres.embedded import EmbeddedPostgres
    from scheduler.supervisor import data_directory_lock

    if settings.database_url is not None:
        yield settings.listen_url
        return
    server = EmbeddedPostgres(settings.data_dir)
    if not make and not server.directory.exists():
        raise UsageFault(
            f"{settings.data_dir} contains no database; choose another with REVEILLE_DATA_DIR or DATABASE_URL."
        )
    if not make and is_running(server.directory):
        yield server.url
        return
    with data_directory_lock(settings.data_dir):
        try:
            yield server.start()
        finally:
            server.stop()


def _passphrase(given: str | None, *, confirm: bool) -> str:
    if given is not None:
        phrase = read_text("--passphrase", given) or ""
    elif sys.stdin.isatty():
        phrase = str(typer.prompt("Passphrase", hide_input=True, confirmation_prompt=confirm, err=True))
    else:
        phrase = sys.stdin.readline().rstrip("\n")
    if confirm and len(phrase) < MIN_LENGTH:
        raise UsageFault(
            f"A passphrase must have at least {MIN_LENGTH} characters; pass one with --passphrase @FILE."
        )
    return phrase


def _key(settings: Settings) -> str:
    if settings.secret_key is not None:
        return settings.secret_key.get_secret_value()
    if settings.database_url is not None:
        raise UsageFault("REVEILLE_SECRET_KEY is not set: set it, or leave the key out with --without-key.")
    return (settings.data_dir / "secret.key").read_text(encoding="ascii").strip()


def _check_key(settings: Settings, key: str | None, place: Path) -> bool:
    """Whether to write the key to `place`. Raises UsageFault when a different key is there."""
    if key is None:
        return False
    if settings.secret_key is not None:
        if settings.secret_key.get_secret_value() != key:
            raise UsageFault("REVEILLE_SECRET_KEY is not the key of this backup; unset it.")
        return False
    if place.exists() and place.read_text(encoding="utf-8").strip() != key:
        raise UsageFault(f"{place} holds another key; move it away.")
    return not place.exists()


def _write_key(place: Path, key: str) -> None:
    with os.fdopen(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(f"{key}\n")


def _revision(url: str) -> str:
    import psycopg

    try:
        with psycopg.connect(url, connect_timeout=10) as connection:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except psycopg.OperationalError as error:
        raise DatabaseUnavailable(f"The database does not answer: {str(error).splitlines()[0]}") from None
    except psycopg.errors.UndefinedTable:
        row = None
    if row is None:
        raise UsageFault("This is not a Reveille database: it was never migrated.")
    return str(row[0])


def _check_revision(revision: str) -> None:
    from scheduler.storage.migrate import head_revision

    if revision > head_revision():
        raise UsageFault(f"The backup is from a newer Reveille (revision {revision}); restore it with that one.")


def _check_empty(url: str) -> None:
    import psycopg

    try:
        with psycopg.connect(url, connect_timeout=10) as connection:
            row = connection.execute(
                "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
            ).fetchone()
    except psycopg.OperationalError as error:
        raise DatabaseUnavailable(f"The database does not answer: {str(error).splitlines()[0]}") from None
    if row and row[0]:
        raise Conflict("The database is not empty; nothing was changed. Restore into a new one.")


def _finish(url: str, taken_at: str) -> None:
    """Upgrades the database to this version and records in it what it was restored from."""
    from scheduler.storage.audit import record_event
    from scheduler.storage.engine import Database
    from scheduler.storage.migrate import upgrade

    address = url.replace("postgresql://", "postgresql+psycopg://", 1)
    upgrade(address)
    db = Database(address, pool_size=1, application_name="reveille-restore")
    try:
        with db.begin() as conn:
            record_event(conn, action="database.restored", tenant_id=None, restored_from=taken_at)
    finally:
        db.dispose()
