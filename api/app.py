"""The web application: gunicorn calls `create_app()`. Importing this module has no side effects."""

from __future__ import annotations

from flask import Response, request
from flask.globals import request_ctx
from flask.typing import ResponseReturnValue
from flask_openapi.models.info import Info
from flask_openapi.models.security_scheme import SecurityScheme
from flask_openapi.openapi import OpenAPI

from api.a2a import a2a
from api.auth import Access
from api.auth_failures import EXTENSION as REFUSALS
from api.auth_failures import Refusals
from api.body import MAX_BODY_BYTES, JsonRequest, StrictJson, check_query
from api.docs import docs
from api.health import health
from api.hooks import hooks
from api.hosts import check_host, set_security_headers
from api.live_changes import register as register_changes
from api.mcp import mcp
from api.metrics import metrics
from api.problems import Problem, install, refuse_invalid
from api.resources.agents import agents
from api.resources.alerts import alerts, badges, mutes
from api.resources.approvals import approvals
from api.resources.audit import audit
from api.resources.base import PREFIX, ItemConverter, ReferenceConverter
from api.resources.channels import channel_events, channels
from api.resources.definitions import definitions
from api.resources.deliveries import deliveries
from api.resources.firings import firings
from api.resources.focus import focus
from api.resources.insights import insights
from api.resources.invocations import invocations
from api.resources.keys import keys
from api.resources.messages import messages
from api.resources.models import models
from api.resources.notes import notes
from api.resources.notification_targets import notification_targets
from api.resources.pauses import pauses
from api.resources.polls import polls
from api.resources.search import finder
from api.resources.simulations import simulations
from api.resources.tenants import tenants
from api.resources.triggers import triggers
from api.resources.users import users
from api.resources.wakes import wakes
from api.resources.web_users import web_users
from api.services import EXTENSION, build_parts
from api.sockets.route import register as register_sockets
from api.web import register as register_pages
from config.installation import VERSION
from config.settings import Settings, load_settings
from scheduler.storage.repeats import repeat

RESOURCES = (
    agents,
    triggers,
    approvals,
    deliveries,
    polls,
    wakes,
    focus,
    notes,
    firings,
    invocations,
    users,
    messages,
    channels,
    notification_targets,
    models,
    insights,
    definitions,
    finder,
    simulations,
    audit,
    keys,
    web_users,
    tenants,
    pauses,
    alerts,
    mutes,
    hooks,
)
PLAIN = (badges, channel_events, health, metrics, docs, mcp, a2a)


class ReveilleApi(OpenAPI):
    """Flask with our JSON parsing. A request that the database rolls back is repeated."""

    request_class = JsonRequest
    json_provider_class = StrictJson

    def dispatch_request(self) -> ResponseReturnValue:
        """Calls the view of the request, again if nothing of it was committed."""
        return repeat(super().dispatch_request)


def create_app(settings: Settings | None = None) -> ReveilleApi:
    """Creates the application for `settings` (default: the environment's). Opens no connection yet.

    Raises ConfigurationError for an invalid setting.
    """
    parts = build_parts(settings or load_settings())
    app = ReveilleApi(
        "reveille",
        info=Info(title="Reveille", version=VERSION, description="Wakes agents. See docs/api.md."),
        security_schemes={"key": SecurityScheme(type="http", scheme="bearer", description="An API key.")},
        validation_error_callback=refuse_invalid,
        validation_error_model=Problem,
        doc_ui=False,
        static_folder=None,
    )
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    app.url_map.converters |= {"item": ItemConverter, "reference": ReferenceConverter}
    app.url_map.merge_slashes = False  # a doubled slash is part of the name; a redirect would lose it
    app.before_request(answer_options)
    app.before_request(check_host)
    app.before_request(check_query)
    app.extensions[EXTENSION] = parts
    app.extensions[REFUSALS] = Refusals()
    install(app)
    for resource in RESOURCES:
        app.register_api(resource)
    for plain in PLAIN:
        app.register_blueprint(plain)
    register_pages(app, parts)
    register_sockets(app, parts)
    register_changes(app, parts)
    app.after_request(_secure)
    _check_marks(app)
    return app


def _secure(response: Response) -> Response:
    response.headers.setdefault("Reveille-Version", VERSION)
    set_security_headers(response)
    if not request.path.startswith("/docs"):
        response.headers.setdefault("Cache-Control", "no-store")
        response.headers.setdefault("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
    return response


def _check_marks(app: OpenAPI) -> None:
    """Refuses to start with an API view that does not declare who may call it."""
    for rule in app.url_map.iter_rules():
        view = app.view_functions[rule.endpoint]
        if rule.rule.startswith(PREFIX) and not isinstance(getattr(view, "access", None), Access):
            raise RuntimeError(f"{rule.endpoint} is not marked with api.auth.needs.")


def answer_options() -> Response | None:
    """Returns 204 with `Allow` (RFC 9110 section 9.3.7) for OPTIONS requests; others continue."""
    if request.method != "OPTIONS" or request.url_rule is None or request_ctx.url_adapter is None:
        return None
    response = Response(status=204)
    del response.headers["Content-Type"]
    response.headers["Allow"] = ", ".join(sorted(request_ctx.url_adapter.allowed_methods()))
    return response
