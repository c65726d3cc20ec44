"""The web application under test: the real one on a real database, called through Flask's test client."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

from pydantic import SecretStr
from werkzeug.routing import Rule
from werkzeug.serving import make_server
from werkzeug.test import TestResponse

from api.app import ReveilleApi, create_app
from api.services import EXTENSION, Services
from config.settings import Settings
from scheduler.storage.engine import Database
from scheduler.storage.keys import create_key

COMMANDS = {"echo": ["/bin/echo"]}


def _compile_rules_once() -> None:
    """Share what an address is built with: compiling it is most of making an application, and most tests make one."""
    compile_rule: Callable[[Rule, bool], object] = Rule._compile_builder
    made: dict[object, object] = {}

    def compiled(rule: Rule, append_unknown: bool = True) -> object:
        key = (rule.rule, tuple(rule._trace), tuple((rule.defaults or {}).items()), append_unknown)
        if key not in made:
            made[key] = compile_rule(rule, append_unknown)
        return made[key]

    setattr(Rule, "_compile_builder", compiled)  # noqa: B010


_compile_rules_once()


class Caller:
    """A client that sends one key and returns the API's responses."""

    def __init__(self, app: ReveilleApi, key: str | None, tenant_id: str | None = None) -> None:
        self._client = app.test_client()
        self.key = key
        self.headers = {"Authorization": f"Bearer {key}"} if key else {}
        if tenant_id is not None:
            self.headers["Reveille-Tenant"] = tenant_id

    def call(self, method: str, path: str, body: object = None, **options: Any) -> TestResponse:
        """Sends one request below /api/v1, or at the root for a path that starts with two slashes."""
        url = path[1:] if path.startswith("//") else f"/api/v1{path}"
        if body is not None:
            options |= {"data": json.dumps(body), "content_type": "application/json"}
        headers = {**self.headers, **options.pop("headers", {})}
        return self._client.open(url, method=method, headers=headers, buffered=True, **options)

    def get(self, path: str, **query: object) -> Any:
        """Returns the JSON of a 200."""
        return self.ok(self.call("GET", path, query_string={k: str(v) for k, v in query.items()}), 200)

    def post(self, path: str, body: object = None, status: int = 201) -> Any:
        """Posts and returns the JSON of a `status`."""
        return self.ok(self.call("POST", path, body), status)

    def patch(self, path: str, body: object) -> Any:
        """Patches and returns the JSON of a 200."""
        return self.ok(self.call("PATCH", path, body), 200)

    def delete(self, path: str) -> None:
        """Deletes; expects a 204."""
        response = self.call("DELETE", path)
        assert response.status_code == 204, response.text
        assert response.data == b""

    def refused(self, status: int, method: str, path: str, body: object = None, **options: Any) -> Any:
        """Returns the problem of a response with `status`."""
        response = self.call(method, path, body, **options)
        assert response.status_code == status, f"{response.status_code}: {response.text}"
        assert response.content_type == "application/problem+json"
        problem = response.json
        assert isinstance(problem, dict)
        assert problem["status"] == status
        assert {"type", "title", "detail"} <= set(problem)
        return problem

    @staticmethod
    def ok(response: TestResponse, status: int) -> Any:
        """Returns the JSON of a response that must have `status`."""
        assert response.status_code == status, f"{response.status_code}: {response.text}"
        return response.json


class Api(Caller):
    """The application, called by its operator; `as_` calls it with other keys."""

    def __init__(self, app: ReveilleApi, key: str) -> None:
        super().__init__(app, key)
        self.app = app
        self.services: Services = app.extensions[EXTENSION]
        self.db: Database = self.services.db

    def as_(self, key: str | None, tenant_id: str | None = None) -> Caller:
        """Returns a caller with `key`."""
        return Caller(self.app, key, tenant_id)

    def with_key(self, *scopes: str, tenant_id: str | None = None) -> Caller:
        """Returns a caller with a new key of the default tenant, or of another."""
        body: dict[str, Any] = {"name": " ".join(scopes)[:50], "scopes": list(scopes)}
        if tenant_id is not None:
            body["tenant_id"] = tenant_id
        return self.as_(self.post("/api-keys", body)["key"])

    def tenant(self, name: str, **fields: object) -> str:
        """Creates a tenant and returns its id."""
        return str(self.post("/tenants", {"name": name, **fields})["id"])

    def agent(self, name: str = "ada", **fields: object) -> Any:
        """Creates an agent of the default tenant."""
        return self.post("/agents", agent_body(name, **fields))

    def trigger(self, agent_id: str, name: str = "tick", **fields: object) -> Any:
        """Creates a trigger; by default, an interval of an hour."""
        return self.post(f"/agents/{agent_id}/triggers", trigger_body(name, **fields))


def agent_body(name: str = "ada", **fields: object) -> dict[str, object]:
    """Returns the body that creates an agent."""
    return {"name": name, "runtime": {"kind": "command", "name": "echo"}, **fields}


def trigger_body(name: str = "tick", **fields: object) -> dict[str, object]:
    """Returns the body that creates a trigger."""
    return {"name": name, "type": "interval", "config": {"minutes": 60}, **fields}


def operator_key(db: Database) -> str:
    """Creates an admin key of the operator."""
    with db.begin() as conn:
        return create_key(conn, tenant_id=None, name="operator", scopes=["admin"]).key


@contextmanager
def running_api(database_url: str, **settings: Any) -> Iterator[Api]:
    """Runs the application on `database_url`."""
    fields: dict[str, Any] = {"secret_key": SecretStr("a secret key for tests"), "commands": COMMANDS, **settings}
    app = create_app(Settings(database_url=database_url, **fields))
    services: Services = app.extensions[EXTENSION]
    try:
        yield Api(app, operator_key(services.db))
    finally:
        services.live.close()
        services.db.dispose()


@contextmanager
def served(api: Api) -> Iterator[str]:
    """Serves the application with a real HTTP server; yields its address."""
    server = make_server("127.0.0.1", 0, api.app, threaded=True)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
