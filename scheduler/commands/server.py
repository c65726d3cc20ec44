"""`reveille run, web, worker, migrate`: the processes of the service."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import typer

GUNICORN_CONFIG = Path(__file__).resolve().parents[2] / "config" / "gunicorn.py"
APP = "api.app:create_app()"


def register(app: typer.Typer) -> None:
    """Add the commands to the root command."""
    for command in (run, web, worker, migrate):
        app.command()(command)


def run() -> int:
    """Run everything on this machine, with a PostgreSQL of its own.

    Migrates, then runs web, scheduler and worker until Ctrl-C; the data stay.
    """
    from config.settings import load_settings
    from scheduler import supervisor
    from scheduler.bootstrap import prepare

    settings = load_settings()
    _configure_logging(settings.log_level, as_json=settings.log_json)
    return supervisor.run(settings, prepare)


def web() -> None:
    """Run the web process: API and webhooks."""
    from config.settings import load_settings

    load_settings().for_server()
    sys.stdout.flush()
    # Replaced, not called: the process manager's signals must reach gunicorn itself.
    os.execv(sys.executable, [sys.executable, "-m", "gunicorn", "-c", str(GUNICORN_CONFIG), APP])  # noqa: S606


def worker() -> int:
    """Run a worker process: scheduler and invocations."""
    from config.settings import load_settings
    from scheduler.worker import run_worker

    settings = load_settings().for_server()
    _configure_logging(settings.log_level, as_json=settings.log_json)
    return run_worker(settings)


def migrate() -> None:
    """Bring the database up to this version.

    The first time it also makes the first admin key, and prints it once.
    """
    from config.settings import load_settings
    from scheduler.bootstrap import first_start
    from scheduler.storage.migrate import head_revision, upgrade

    settings = load_settings().for_server()
    _configure_logging(settings.log_level, as_json=settings.log_json)
    upgrade(settings.sqlalchemy_url)
    typer.echo(f"The database is at revision {head_revision()}.")
    first = first_start(settings)
    if first.admin_key is not None:
        typer.echo(f"The admin key, shown this once: {first.admin_key}")


def _configure_logging(level: str, *, as_json: bool) -> None:
    from config.logging import configure_logging

    configure_logging(level, as_json=as_json)
