"""The composition root: builds the parts of a process and prepares a new database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import count

from sqlalchemy import select, text

from config.installation import VERSION, command, run_command
from config.setting_values import read_headers
from config.settings import Settings, own_url
from scheduler.alerts.rules import rules_with
from scheduler.alerts.service_rules import NOTHING_KNOWN, DatabaseSpace, database_space_of
from scheduler.alerts.watch import EVERY_SECONDS as WATCH_SECONDS
from scheduler.alerts.watch import LEASE_SECONDS, Watch
from scheduler.clock.listener import Listener
from scheduler.clock.scheduler import Duty, LedgerScheduler
from scheduler.demo import Demo, make_demo
from scheduler.domain.clock import SystemClock
from scheduler.domain.ids import token_hash
from scheduler.domain.retention import DEFAULT_DAYS, History, read_days
from scheduler.intake.polls.queue import sweep_checks
from scheduler.invocations.recovery import ReconcileResult, reconcile, sweep_stalled
from scheduler.manage.canary import EVERY_SECONDS, Canary
from scheduler.manage.retention import Pruner
from scheduler.manage.triggers.reconcile import reconcile_jobs
from scheduler.manage.triggers.service import Triggers
from scheduler.notifications.deliveries import send_again
from scheduler.storage.audit import record_event
from scheduler.storage.engine import BY_INDEX, Database
from scheduler.storage.keys import ADMIN, create_key
from scheduler.storage.secrets import SecretBox
from scheduler.storage.tables.tenants import Tenant
from scheduler.tracing import EVERY_SECONDS as EXPORT_SECONDS
from scheduler.tracing import Tracing, exporter
from scheduler.triggers.webhook import hook_url

DEFAULT_TENANT_NAME = "default"
RECENT = timedelta(hours=1)


@dataclass(frozen=True)
class FirstStart:
    """What the first start on a new database created. `admin_key` is shown only this once."""

    admin_key: str | None = None
    has_earlier_keys: bool = False
    """Whether REVEILLE_ADMIN_KEY was added to a database with other keys, which stay valid."""


class SchedulerRunner:
    """Runs the scheduler of a worker process, with its listener and its two database connections (full and express
    passes).
    """

    def __init__(self, settings: Settings, duties: Sequence[Duty]) -> None:
        self._db = Database(
            settings.sqlalchemy_url, pool_size=2, application_name="reveille-scheduler", options=BY_INDEX
        )
        self.scheduler = LedgerScheduler(self._db, SystemClock(), duties)
        self._listener = Listener(settings.listen_url, self.scheduler.wakeup)

    def start(self) -> None:
        """Starts running passes in a background thread."""
        self.scheduler.start()
        self._listener.start()

    def shutdown(self) -> None:
        """Finishes the running pass and closes the database connections."""
        self._listener.stop()
        self.scheduler.shutdown()
        self._db.dispose()


def start_scheduler(settings: Settings, db: Database) -> SchedulerRunner:
    """Starts this process's scheduler. Its duties use `db`, the worker's own pool."""
    assert settings.secret_key is not None  # noqa: S101  # for_server has seen to it
    triggers = Triggers(db, SecretBox(settings.secret_key.get_secret_value()))
    canary = Canary(db, triggers, is_wanted=settings.canary)
    every = [
        *duties(db, read_days(settings.retention), database_space_of(settings)),
        keep_canary(canary),
        *trace_duties(settings, db),
    ]
    runner = SchedulerRunner(settings, every)
    runner.start()
    return runner


class Reconciliation:
    """Reconciles everything on the first run, since earlier downtime is of unknown length; later runs look at
    recent rows.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._newer_than: timedelta | None = None

    def look(self) -> ReconcileResult:
        """Runs one pass. A pass that fails or is left incomplete is repeated over the same range."""
        found = reconcile(self._db, newer_than=self._newer_than)
        if found.is_whole:
            self._newer_than = RECENT
        return found


def duties(
    db: Database, days: Mapping[History, int] = DEFAULT_DAYS, room: DatabaseSpace = NOTHING_KNOWN
) -> list[Duty]:
    """Lists the periodic duties of a worker process. Each is run by one process at a time."""
    return [
        Duty("sweep stalled workers", 15, lambda: sweep_stalled(db)),
        Duty("sweep stalled checks", 60, lambda: sweep_checks(db)),
        Duty("send notifications again", 5, lambda: send_again(db)),
        Duty("reconcile invocations", 300, Reconciliation(db).look),
        Duty("reconcile jobs", 300, lambda: reconcile_jobs(db)),
        Duty("watch for trouble", WATCH_SECONDS, Watch(db, rules_with(room), every=LEASE_SECONDS).look),
        Duty("remove old history", 60, Pruner(db, days).look),
    ]


def keep_canary(canary: Canary) -> Duty:
    """Returns the duty that keeps the canary. It begins after a minute, so that a short trial has none."""
    return Duty("keep the canary", EVERY_SECONDS, canary.look, first_after=EVERY_SECONDS)


def trace_duties(settings: Settings, db: Database) -> list[Duty]:
    """Returns the duty that exports traces, if an endpoint is set; raises ConfigurationError without the extra."""
    if settings.otlp_endpoint is None:
        return []
    export = exporter(settings.otlp_endpoint, read_headers(settings.otlp_headers), VERSION)
    return [Duty("export traces", EXPORT_SECONDS, Tracing(db, export).look)]


def first_start(settings: Settings) -> FirstStart:
    """Creates the admin key in REVEILLE_ADMIN_KEY, or a random one if the database has no key yet."""
    db = Database(settings.sqlalchemy_url, pool_size=1, application_name="reveille-first-start")
    given = settings.admin_key.get_secret_value() if settings.admin_key else None
    try:
        with db.begin() as conn:
            conn.execute(text("LOCK TABLE api_keys IN SHARE ROW EXCLUSIVE MODE"))
            keys = conn.execute(text("SELECT key_hash, name FROM api_keys")).all()
            known: dict[bytes, str] = {row.key_hash: row.name for row in keys}
            if given is None and known:
                return FirstStart()
            if given is not None and token_hash(given) in known:
                return FirstStart()
            name = next(each for each in _admin_names() if each not in known.values())
            made = create_key(conn, tenant_id=None, name=name, scopes=[ADMIN], key=given)
            record_event(conn, action="key.created", tenant_id=None, subject_id=made.row.id, name=made.row.name)
            return FirstStart(made.key if given is None else None, has_earlier_keys=bool(known))
    finally:
        db.dispose()


def _admin_names() -> Iterator[str]:
    """Yields names for admin keys: of the first start, then of those that replace a lost key."""
    yield "first admin"
    yield from (f"admin {number}" for number in count(2))


def prepare(settings: Settings) -> tuple[list[str], list[str]]:
    """Prepares the migrated database for `reveille run`. Returns the lines to print on the console: at once the key,
    which no later start shows, and when everything is ready, what to try.
    """
    first = first_start(settings)
    assert settings.secret_key is not None  # noqa: S101  # the supervisor has made it
    box = SecretBox(settings.secret_key.get_secret_value())
    db = Database(settings.sqlalchemy_url, pool_size=1, application_name="reveille-first-start")
    try:
        with db.begin() as conn:
            tenant_id = conn.execute(select(Tenant.id).where(Tenant.name == DEFAULT_TENANT_NAME)).scalar_one()
        demo = make_demo(db, box, tenant_id)
    finally:
        db.dispose()
    base = str(settings.public_url or own_url(settings.host, settings.port))
    return _key_lines(first, settings), ["", *_demo_lines(demo, base), *_next_lines(first, base)]


def _key_lines(first: FirstStart, settings: Settings) -> list[str]:
    if first.admin_key is not None:
        return [f"Admin key, shown this once: {first.admin_key}", ""]
    if settings.admin_key is not None:
        return ["The admin key is the one in REVEILLE_ADMIN_KEY.", *earlier_keys_lines(first), ""]
    return [
        "The admin key was shown at the first start. If it is lost, start with a new one of 16 characters or more:",
        f"  REVEILLE_ADMIN_KEY=… {run_command()}",
        "",
    ]


def earlier_keys_lines(first: FirstStart) -> list[str]:
    """Returns a line about keys that stay valid beside a new admin key."""
    if not first.has_earlier_keys:
        return []
    return [
        "Earlier keys stay valid: see `reveille keys list`, and end a lost one with `reveille keys revoke ID`."
    ]


def _demo_lines(demo: Demo | None, base: str) -> list[str]:
    if demo is None:
        return []
    return [
        "The agent 'demo' was created to try things out. Its trigger 'tick' wakes it every 20 s, three times.",
        "Call its webhook up to five times within 5 s: it is woken once, with all your messages.",
        f"  curl -d 'hello' {hook_url(base, demo.hook_token)}",
        "",
    ]


def _next_lines(first: FirstStart, base: str) -> list[str]:
    key = f" REVEILLE_API_KEY={first.admin_key or '…'}"
    return [
        "Try next, in another terminal:",
        f"  export REVEILLE_URL={base}{key}",
        f"  {command()} triggers list",
        f"  {command()} invocations list",
        f"Or sign in with the admin key at {base}/, the web UI. The API is described at {base}/docs",
        "",
    ]
