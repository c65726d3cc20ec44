"""The page of the simulator."""

from __future__ import annotations

from pathlib import Path

from tests.support.api import Api
from tests.support.pages import Browser, signed_in

TEXT = """\
agents:
  - name: ada
    timezone: Europe/Berlin
    runtime: {kind: command, name: echo}
    triggers:
      - {name: night, type: cron, config: {expr: "30 2 * * *"}}
      - {name: push, type: webhook}
"""


def submit(browser: Browser, status: int, **fields: str) -> str:
    """What the page says to a form."""
    response = browser.post("/simulate", **fields)
    assert response.status_code == status, response.text
    return response.text


def test_definitions_are_simulated_and_nothing_is_made(api: Api) -> None:
    browser = signed_in(api)
    assert 'href="/simulate"' in browser.get("/triggers")
    page = submit(browser, 200, definitions=TEXT, days="10", rates="ada/push=6/h\n", cost="0.5")
    assert "does not exist" in page
    assert "Clock changes" in page
    assert "moved" in page
    assert "30 2 * * *" in page
    assert api.get("/agents")["items"] == []


def test_errors_stand_where_they_belong(api: Api, tmp_path: Path) -> None:
    browser = signed_in(api)
    (tmp_path / "secret").write_text("hush-of-the-server")
    wrong = TEXT.replace("30 2", "30 25").replace("type: webhook", "type: webhook, cofig: {}")
    page = submit(browser, 422, definitions=wrong, days="10")
    assert "definitions:7:44: cofig" in page
    page = submit(browser, 422, definitions=TEXT.replace("30 2", "30 25"), days="10")
    assert "definitions:6:50: config.expr" in page or "definitions:6:" in page
    assert "is not of the form" in submit(browser, 422, definitions=TEXT, days="1", rates="x")
    assert "must be a number" in submit(browser, 422, definitions=TEXT, days="many")
    assert "not YAML" in submit(browser, 422, definitions="agents: [", days="1")
    secret = TEXT + f"targets:\n- {{agent: ada, name: t, kind: slack, url: {{file: {tmp_path}/secret}}}}\n"
    page = submit(browser, 422, definitions=secret, days="1")
    assert "o file is read here" in page
    assert "hush" not in page
