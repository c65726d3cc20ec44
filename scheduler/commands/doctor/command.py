"""`reveille doctor`: finds problems and says what to do about them."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from scheduler.commands.doctor.findings import Finding, Status, fail, ok, warn
from scheduler.commands.exits import ExitCode, UsageFault
from scheduler.commands.output import say, show_json
from scheduler.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from config.settings import Settings

COLOURS = {Status.OK: typer.colors.GREEN, Status.WARN: typer.colors.YELLOW, Status.FAIL: typer.colors.RED}
NAME_WIDTH = 20


class MissedSlots(StrEnum):
    """What to do with slots that passed since a backup."""

    SKIP = "skip"
    POLICY = "policy"


def register(app: typer.Typer) -> None:
    """Adds the command to the root command."""
    app.command()(doctor)


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print a list of {name, status, text, remedy}.")] = False,
    upgrade_database: Annotated[
        bool,
        typer.Option("--upgrade-database", help="Upgrade an embedded database to this version of PostgreSQL."),
    ] = False,
    rotate_secrets: Annotated[
        bool,
        typer.Option(
            "--rotate-secrets", help="Re-encrypt stored secrets with the first key in REVEILLE_SECRET_KEY."
        ),
    ] = False,
    after_restore: Annotated[
        bool,
        typer.Option(
            "--after-restore", help="Show what will fire and run again when a restored database is started."
        ),
    ] = False,
    late: Annotated[
        MissedSlots | None,
        typer.Option(
            help="With --after-restore, of the slots that passed since the backup. skip: leave all of them out. "
            "policy: let each trigger's misfire policy decide at the first start, as it does without this option."
        ),
    ] = None,
) -> int:
    """Check this installation and suggest fixes.

    Prints a line for each check: ok, warn, or fail with the remedy. The exit code is 1 if anything fails.
    """
    if upgrade_database:
        return _upgrade()
    if rotate_secrets:
        return _rotate()
    if late is not None and not after_restore:
        raise UsageFault("--late requires --after-restore.")
    findings = []
    for finding in _examine_restored(late) if after_restore else _examine():
        findings.append(finding)
        if not as_json:
            _show(finding)
    if as_json:
        show_json([vars(finding) for finding in findings])
    failed = any(finding.status is Status.FAIL for finding in findings)
    return ExitCode.FAILED if failed else ExitCode.OK


def _examine_restored(late: MissedSlots | None) -> Iterator[Finding]:
    from scheduler.commands.backup import at_database
    from scheduler.commands.doctor.restore import check_restored, skip_missed_slots

    with at_database(_settings(), make=False) as url:
        if late is MissedSlots.SKIP:
            yield skip_missed_slots(url)
        yield from check_restored(url)


def _examine() -> Iterator[Finding]:
    from config.settings import unknown_settings
    from scheduler.commands.doctor import machine

    yield machine.check_python()
    try:
        settings = _settings()
    except ConfigurationError as error:
        yield fail("settings", error.message, "correct it; the other checks need it")
        return
    yield ok("settings", "every variable can be read")
    for unknown in unknown_settings():
        yield warn("settings", unknown, "correct the name, or unset it")
    if settings.database_url is None:
        yield machine.check_data_dir(settings.data_dir)
    yield from _database(settings)
    yield machine.check_web(settings)


def _settings() -> Settings:
    from config.settings import load_settings

    settings = load_settings()
    return settings if settings.database_url is None else settings.for_server()


def _rotate() -> int:
    from scheduler.postgres.embedded import EmbeddedPostgres
    from scheduler.storage.engine import Database
    from scheduler.storage.secrets import SecretBox, reseal

    settings = _settings()
    if settings.database_url is None:
        settings = settings.model_copy(update={"database_url": EmbeddedPostgres(settings.data_dir).url})
    key = settings.secret_key.get_secret_value() if settings.secret_key else _kept_key(settings)
    if key is None:
        raise ConfigurationError("There is no secret key, and no stored secret needs one.")
    db = Database(settings.sqlalchemy_url, pool_size=1, application_name="reveille-doctor")
    try:
        done = reseal(db, SecretBox(key))
    finally:
        db.dispose()
    say(f"{done.anew} stored secrets were re-encrypted; {done.newest} already used the newest key.")
    if done.closed:
        say(
            f"{done.closed} cannot be decrypted with any key: add the key that encrypted them, or enter "
            "them again."
        )
    return ExitCode.FAILED if done.closed else ExitCode.OK


def _database(settings: Settings) -> Iterator[Finding]:
    from scheduler.commands.doctor.database import check_database
    from scheduler.commands.doctor.machine import check_embedded
    from scheduler.domain.clock import SystemClock
    from scheduler.postgres.embedded import EmbeddedPostgres

    key = settings.secret_key.get_secret_value() if settings.secret_key else None
    if settings.database_url is None:
        server = EmbeddedPostgres(settings.data_dir)
        embedded = check_embedded(server)
        yield embedded
        if embedded.status is not Status.OK:
            return
        settings = settings.model_copy(update={"database_url": server.url})
        key = key or _kept_key(settings)
    yield from check_database(settings.sqlalchemy_url, key, SystemClock(), settings.direct_url)


def _kept_key(settings: Settings) -> str | None:
    """Returns the key in the data directory; None when there is none or this user cannot read it."""
    try:
        return (settings.data_dir / "secret.key").read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None


def _show(finding: Finding) -> None:
    status = typer.style(f"{finding.status:<4}", fg=COLOURS[finding.status])
    typer.echo(f"{status}  ", nl=False)
    remedy = f"; {finding.remedy}" if finding.remedy else ""
    say(f"{finding.name:<{NAME_WIDTH}}  {finding.text}{remedy}")


def _upgrade() -> int:
    from scheduler.commands.doctor.upgrade import upgrade_database

    say(upgrade_database(_settings().data_dir))
    return ExitCode.OK
