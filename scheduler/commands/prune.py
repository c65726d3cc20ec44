"""`reveille prune`: removes expired history at once, or shows what would be removed."""

from __future__ import annotations

from typing import Annotated

import typer

from scheduler.commands.output import say, show_json
from scheduler.domain.text import counted


def register(app: typer.Typer) -> None:
    """Adds the command to the root command."""
    app.command()(prune)


def prune(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count; remove nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a list of {tenant, kind, rows}.")] = False,
) -> None:
    """Remove history that is older than its retention time.

    The service does this gradually by itself. Uses the database at DATABASE_URL, else the embedded one.
    """
    from config.settings import load_settings
    from scheduler.commands.backup import at_database
    from scheduler.domain.retention import read_days
    from scheduler.manage.retention import Pruner
    from scheduler.storage.engine import Database
    from scheduler.storage.migrate import check_migrated
    from scheduler.storage.tenants import read_names

    settings = load_settings()
    with at_database(settings, make=False) as url:
        address = url.replace("postgresql://", "postgresql+psycopg://", 1)
        check_migrated(address)
        db = Database(address, pool_size=1, application_name="reveille-prune")
        try:
            pruner = Pruner(db, read_days(settings.retention), actor="operator")
            found = pruner.count() if dry_run else pruner.remove()
            with db.begin() as conn:
                names = read_names(conn)
        finally:
            db.dispose()
    lines = [
        {"tenant": names.get(tenant_id, str(tenant_id)) if tenant_id else None, "kind": kind.value, "rows": rows}
        for tenant_id, counts in found.items()
        for kind, rows in counts.items()
    ]
    if as_json:
        show_json(lines)
        return
    verb = "would be removed" if dry_run else "removed"
    for line in lines:
        say(f"{line['tenant'] or 'the operator'}: {line['rows']} {line['kind']} {verb}")
    total = sum(sum(counts.values()) for counts in found.values())
    say(f"{counted(total, 'row')} {verb}." if total else "Nothing has exceeded its retention time.")
