"""Health, metrics, documentation, and the application without its database."""

from __future__ import annotations

import json
import re
import sys
from subprocess import run

import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr
from sqlalchemy import text

from api.app import create_app
from config.settings import Settings
from scheduler.domain.errors import ConfigurationError
from scheduler.storage.migrate import downgrade
from tests.support.api import Api, running_api
from tests.support.factories import make_due

NO_DATABASE = "postgresql://nobody@127.0.0.1:1/none"


def beat(api: Api, *, passed: float = 0.0, worker: float = 0.0) -> None:
    """Records a scheduler's pass and a worker's heartbeat, so many seconds ago."""
    with api.db.begin() as conn:
        conn.execute(text("DELETE FROM scheduler_processes"))
        conn.execute(text("DELETE FROM procrastinate_workers"))
        conn.execute(
            text("""
                INSERT INTO scheduler_processes (id, name, last_pass_at)
                VALUES (gen_random_uuid(), 'x', clock_timestamp() - make_interval(secs => :passed))
            """),
            {"passed": passed},
        )
        conn.execute(
            text("""
                INSERT INTO procrastinate_workers (last_heartbeat)
                VALUES (clock_timestamp() - make_interval(secs => :worker))
            """),
            {"worker": worker},
        )


def test_healthz_needs_nothing() -> None:
    """No key and no database: the process answers."""
    with pytest.raises(ConfigurationError):
        create_app(Settings())
    app = create_app(Settings(database_url=NO_DATABASE, secret_key=SecretStr("a secret key for tests")))
    response = app.test_client().get("/healthz")
    assert (response.status_code, response.json) == (200, {"status": "ok"})


def test_readyz_names_each_check(api: Api) -> None:
    """200 with a recent pass and heartbeat; 503 names what is missing."""
    nobody = api.ok(api.call("GET", "//readyz"), 503)
    assert nobody["checks"]["scheduler"] == {"ok": False, "last_pass_age_seconds": None}
    beat(api)
    ready = api.ok(api.as_(None).call("GET", "//readyz"), 200)
    assert ready["status"] == "ready"
    assert {name: check["ok"] for name, check in ready["checks"].items()} == {
        "database": True,
        "migrations": True,
        "scheduler": True,
        "worker": True,
    }
    beat(api, passed=16)
    assert failing(api) == ["scheduler"]
    beat(api, worker=31)
    assert failing(api) == ["worker"]


def test_readyz_names_a_database_that_is_behind(api: Api, sqlalchemy_url: str) -> None:
    """A release that was not migrated is not ready, and reports both versions."""
    beat(api)
    with api.db.begin() as conn:
        conn.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    checks = api.ok(api.call("GET", "//readyz"), 503)["checks"]
    assert checks["migrations"]["ok"] is False
    assert checks["migrations"]["at"] == "0001"
    with api.db.begin() as conn:
        conn.execute(
            text("UPDATE alembic_version SET version_num = :head"), {"head": checks["migrations"]["head"]}
        )
    downgrade(sqlalchemy_url)
    assert failing(api) == ["migrations"]
    assert "migrate" in api.refused(503, "GET", "/agents")["detail"]
    assert api.call("GET", "//metrics").status_code == 503


def test_without_a_database_requests_are_503_until_it_is_back(database_url: str) -> None:
    """503 problems with Retry-After, a readyz that names it, metrics that show it; it recovers by itself."""
    with running_api(database_url) as api:
        good = api.services.db.engine.url
        api.services.db.dispose()
        api.services.db.engine.pool = type(api.services.db)(
            NO_DATABASE.replace("postgresql", "postgresql+psycopg")
        ).engine.pool
        response = api.call("GET", "/agents")
        api.refused(503, "GET", "/agents")
        assert int(response.headers["Retry-After"]) > 0
        api.refused(503, "POST", "/agents", {"name": "x"})
        assert failing(api) == ["database"]
        shown = figures(api)
        assert shown["reveille_database_up"] == 0
        assert "reveille_firings_pending" not in shown
        api.services.db.engine.pool = type(api.services.db)(good.render_as_string(hide_password=False)).engine.pool
        assert api.get("/agents")["items"] == []


def test_metrics_show_what_waits(api: Api) -> None:
    """Windows by the reason why they wait, invocations and firings by state, lateness and ages; no names."""
    beat(api, passed=3, worker=4)
    agent = api.agent("very-secret-name")
    trigger = api.trigger(agent["id"])
    api.post(f"/triggers/{trigger['id']}/fire", None, 202)
    api.post(f"/triggers/{trigger['id']}/fire", None, 202)
    make_due(api.db, trigger["id"], seconds_ago=100)
    with api.db.begin() as conn:
        conn.execute(text("UPDATE firings SET scheduled_for = fired_at - interval '2 seconds'"))
        conn.execute(text("UPDATE invocations SET due_at = clock_timestamp() - interval '50 seconds'"))
    shown = figures(api)
    assert shown["reveille_database_up"] == 1
    assert shown['reveille_windows{state="open"}'] == 1
    assert shown["reveille_firings_pending"] == 2
    assert shown['reveille_recent_firings{state="pending"}'] == 2
    assert shown['reveille_lateness_seconds{quantile="0.99"}'] == pytest.approx(2)
    assert 50 <= shown["reveille_oldest_due_window_age_seconds"] < 80
    assert 100 <= shown["reveille_overdue_job_age_seconds"] < 130
    assert 3 <= shown["reveille_last_pass_age_seconds"] < 33
    assert 4 <= shown["reveille_worker_heartbeat_age_seconds"] < 34
    assert "very-secret-name" not in api.call("GET", "//metrics").text
    assert agent["id"] not in api.call("GET", "//metrics").text
    with api.db.begin() as conn:
        conn.execute(text("UPDATE invocations SET due_at = NULL, held_reason = 'busy'"))
        conn.execute(
            text("""
                INSERT INTO invocations (id, tenant_id, agent_id, state, firing_count, finished_at)
                SELECT gen_random_uuid(), tenant_id, agent_id, v.state, 4, v.finished_at
                FROM invocations, (VALUES ('running', NULL), ('dead', clock_timestamp())) AS v(state, finished_at)
            """)
        )
    shown = figures(api)
    assert (shown['reveille_windows{state="open"}'], shown['reveille_windows{state="busy"}']) == (0, 1)
    assert shown['reveille_invocations{state="running"}'] == 1
    assert shown['reveille_recent_invocations{state="dead"}'] == 1
    assert shown["reveille_firings_pending"] == 6
    assert shown["reveille_oldest_due_window_age_seconds"] == 0


def test_every_answer_has_its_security_headers(api: Api) -> None:
    """No sniffing; nothing of the API is cached."""
    for path in ("/agents", "/nothing", "//healthz", "//metrics", "//openapi.json", "//docs"):
        headers = api.call("GET", path).headers
        assert headers["X-Content-Type-Options"] == "nosniff", path
        assert "Content-Security-Policy" in headers, path
        if path != "//docs":
            assert headers["Cache-Control"] == "no-store", path


def test_the_documentation_works_offline(api: Api) -> None:
    """Everything that the page loads is served here."""
    page = api.as_(None).call("GET", "//docs")
    assert page.content_type.startswith("text/html")
    asked = re.findall(r'(?:src|href|url)[=:] ?"([^"]+)"', page.text)
    assert len(asked) == 3
    for address in asked:
        assert address.startswith("/")
        assert api.as_(None).call("GET", f"/{address}").status_code == 200, address


def test_the_openapi_document_is_complete(api: Api) -> None:
    """It contains every route with its security and problems, and every reference resolves."""
    spec = api.get("//openapi.json")
    assert spec["openapi"].startswith("3.")
    for path, operations in spec["paths"].items():
        for method, operation in operations.items():
            if path == "/hooks/{token}":
                assert "security" not in operation, "the token in the address is all that a sender has"
                expected = {"202", "401", "404", "413", "429", "503"} if method == "post" else {"200", "404"}
                assert expected <= set(operation["responses"])
                continue
            assert operation["security"] == [{"key": []}], (method, path)
            assert "422" in operation["responses"]
            content = operation["responses"]["401"]["content"]
            assert list(content) == ["application/problem+json"]
    references = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(spec)))
    assert references <= set(spec["components"]["schemas"])
    listed = {(method.upper(), path) for path, operations in spec["paths"].items() for method in operations}
    served = {
        (method, re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule))
        for rule in api.app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.rule.startswith(("/api/v1", "/hooks"))
    }
    assert listed == served


def test_importing_the_application_does_nothing() -> None:
    """No setting is read and no connection opened until create_app is called."""
    code = "import api.app, threading; assert threading.active_count() == 1"
    result = run([sys.executable, "-c", code], env={"PATH": ""}, capture_output=True, check=False)
    assert result.returncode == 0, result.stderr


def failing(api: Api) -> list[str]:
    """Returns the failing checks of a readyz that is not ready."""
    checks = api.ok(api.call("GET", "//readyz"), 503)["checks"]
    return [name for name, check in checks.items() if not check["ok"]]


def figures(api: Api) -> dict[str, float]:
    """Returns every sample of /metrics by its name and labels."""
    response = api.as_(None).call("GET", "//metrics")
    assert response.status_code == 200
    assert response.content_type.startswith("text/plain")
    found = {}
    for family in text_string_to_metric_families(response.text):
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sample.labels.items())
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found
