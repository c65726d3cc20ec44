"""The web pages: rendered on the server, usable without JavaScript, with sign-in by a key or a password.

Not here: rules and views of the API; pages call the services, as the API does.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from flask import Blueprint, Flask

from api.auth import Access
from api.auth_failures import LIMITS
from api.services import Services
from api.web import charts, filters
from api.web.agent_edit import agent_edit
from api.web.agents import agents
from api.web.alerts import alerts
from api.web.approvals import approvals
from api.web.audit import audit
from api.web.base import secure, show_unknown
from api.web.bulk import bulk
from api.web.confirmations import questions
from api.web.csv.downloads import csv_lists
from api.web.deliveries import deliveries
from api.web.failed import dead
from api.web.firings import firings
from api.web.forms.triggers import words_of_form
from api.web.insights import insights
from api.web.invocations import invocations
from api.web.limits import SignInLimit
from api.web.models import models
from api.web.new_agent import new_agent
from api.web.notifications import notifications
from api.web.now import install as install_now
from api.web.now import now
from api.web.pauses import pauses
from api.web.search import finder
from api.web.sessions import sessions
from api.web.settings import settings
from api.web.sign_in import sign_in, signed_in
from api.web.sign_ins import sign_ins
from api.web.simulator import simulator
from api.web.trigger_edit import trigger_edit
from api.web.triggers import triggers
from scheduler.triggers.registry import KINDS, UNLISTED, icon_of, source_of

HERE = Path(__file__).parent
YEAR = 31_536_000

PAGES: tuple[Blueprint, ...] = (
    signed_in,
    now,
    simulator,
    insights,
    finder,
    csv_lists,
    bulk,
    triggers,
    trigger_edit,
    agents,
    new_agent,
    agent_edit,
    invocations,
    firings,
    sessions,
    deliveries,
    dead,
    approvals,
    audit,
    alerts,
    questions,
    settings,
    pauses,
    sign_ins,
    models,
    notifications,
)


def register(app: Flask, services: Services) -> None:
    """Registers the pages with `app`. Raises RuntimeError for a page that does not declare who may see it."""
    static = _Static("web_static", __name__, template_folder="templates", static_folder="static")
    static.after_request(secure)
    filters.install(app, services.clock)
    charts.install(app)
    app.jinja_env.globals.update(
        currency=services.settings.currency,
        asset=_Assets(),
        icon=icon_of,
        source=source_of,
        kinds=tuple(KINDS),
        unlisted=UNLISTED,
        words_of_form=words_of_form,
    )
    app.extensions[LIMITS] = SignInLimit()
    install_now(app, services)
    app.register_error_handler(404, show_unknown)
    app.register_blueprint(static, url_prefix="/ui")
    app.register_blueprint(sign_in)
    for page in PAGES:
        app.register_blueprint(page)
    _check_marks(app)


class _Static(Blueprint):
    """Files that browsers cache."""

    def get_send_file_max_age(self, filename: str | None) -> int:
        """Returns the maximum age in seconds."""
        return YEAR


class _Assets:
    """Returns the address of a file in `static/`, which changes with the file, so that browsers may cache it
    forever.
    """

    def __init__(self) -> None:
        self._versions: dict[str, str] = {}

    def __call__(self, name: str) -> str:
        if name not in self._versions:
            self._versions[name] = sha256((HERE / "static" / name).read_bytes()).hexdigest()[:12]
        return f"/ui/static/{name}?v={self._versions[name]}"


def _check_marks(app: Flask) -> None:
    names = {page.name for page in PAGES}
    for rule in app.url_map.iter_rules():
        if rule.endpoint.partition(".")[0] in names:
            view = app.view_functions[rule.endpoint]
            if not isinstance(getattr(view, "access", None), Access):
                raise RuntimeError(f"{rule.endpoint} is not marked with api.auth.needs.")
