"""`reveille run, web, worker, migrate`: the processes of the service."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scheduler.domain.roles import Jobs, Role

if TYPE_CHECKING:
    from config.settings import Settings

GUNICORN_CONFIG = Path(__file__).resolve().parents[2] / "config" / "gunicorn.py"
APP = "api.app:create_app()"
PROCESSES = ("run", "web", "worker")
"""Commands that keep running and write logs."""


def register(app: typer.Typer) -> None:
    """Adds the commands to the root command."""
    for command in (run, web, worker, migrate):
        app.command()(command)


def run() -> int:
    """Run everything on this machine, including PostgreSQL.

    Migrates, then runs web server, scheduler and worker until Ctrl-C; the data is kept. With DATABASE_URL, uses
    that PostgreSQL.
    """
    settings = _settings()
    from scheduler import supervisor
    from scheduler.bootstrap import prepare
    from scheduler.demo import with_demo_command

    return supervisor.run(with_demo_command(settings), prepare)


def web() -> None:
    """Run the web process: API and webhooks."""
    # Replaces this process, so that the process manager's signals reach gunicorn, which reads the settings itself.
    os.execv(sys.executable, [sys.executable, "-P", "-m", "gunicorn", "-c", str(GUNICORN_CONFIG), APP])  # noqa: S606


def worker(
    role: Annotated[
        Role, typer.Option(help="scheduler: records due firings. invoker: wakes agents. all: both.")
    ] = Role.ALL,
    jobs: Annotated[
        Jobs | None,
        typer.Option(
            help="Which jobs one process takes. small: those of tenants with few due. large: the others, polls and "
            "notifications. any: all of them."
        ),
    ] = None,
) -> int:
    """Run a worker: scheduler and invocations.

    With a role, only one of them. Any number of workers share one database. The scheduler, small jobs and large
    jobs have a process each, unless REVEILLE_WORKER_PROCESSES or --jobs says otherwise.
    """
    settings = _settings().for_server()
    from scheduler.storage.migrate import check_migrated
    from scheduler.worker_processes import processes_of, run_processes

    check_migrated(settings.sqlalchemy_url)
    if jobs is None and (processes := processes_of(settings, role)):
        return run_processes(settings, processes)
    from scheduler.worker import run_worker

    return run_worker(settings, role, jobs or Jobs.ANY)


def migrate() -> None:
    """Upgrade the database to this version.

    The first time, also creates the first admin key and prints it once.
    """
    settings = _settings().for_server()
    from scheduler.bootstrap import earlier_keys_lines, first_start
    from scheduler.storage.migrate import head_revision, upgrade

    upgrade(settings.sqlalchemy_url)
    typer.echo(f"The database is at revision {head_revision()}.")
    first = first_start(settings)
    if first.admin_key is not None:
        typer.echo(f"The admin key, shown this once: {first.admin_key}")
    for line in earlier_keys_lines(first):
        typer.echo(line)


def _settings() -> Settings:
    """Loads the settings before anything else, and configures logging accordingly."""
    from loguru import logger

    from config.logging import configure_logging
    from config.settings import load_settings, unknown_settings

    settings = load_settings()
    configure_logging(settings.log_level, as_json=settings.log_json)
    for warning in unknown_settings():
        logger.warning(warning)
    return settings
