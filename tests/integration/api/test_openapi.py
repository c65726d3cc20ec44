"""The API against its own description, with generated requests: every operation alone, then in sequences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema

from tests.support.api import Api, running_api, served
from tests.support.postgres import Databases

EXAMPLES = 10
SEQUENCES = 25
ALONE = ("examples", "coverage", "fuzzing")
IN_SEQUENCES = ("stateful",)
SLOW = 3600
"""Seconds. Thousands of requests that take two minutes on an idle machine take longer on a busy one."""

# A schema cannot express the content of a config or a time zone's name: a request that fits the schema may still
# be refused, so that is not checked.
SETTINGS: dict[str, Any] = {
    "generation": {"max-examples": EXAMPLES, "deterministic": True, "database": "none"},
    "checks": {"positive_data_acceptance": {"enabled": False}},
    "cache": {"enabled": False},
    # A long simulation alone takes seconds, and many of them on a busy machine.
    "request-timeout": 120,
}


@pytest.fixture(scope="module")
def described(databases: Databases) -> Iterator[Api]:
    """Runs the application on a new database, with one object of most kinds."""
    url = databases.create()
    with running_api(url) as api:
        agent = api.agent("described")
        api.post(f"/triggers/{api.trigger(agent['id'])['id']}/fire", None, 202)
        yield api
    databases.drop(url)


@pytest.mark.long
@pytest.mark.timeout(SLOW)
def test_every_operation_keeps_to_its_description(described: Api) -> None:
    """Whatever is sent: no 500, nothing undescribed, and what violates the description is refused."""
    phases = keep_to_description(described, ALONE)
    assert all(phases[name] > 50 for name in ("COVERAGE", "FUZZING")), phases


@pytest.mark.timeout(SLOW)
def test_sequences_of_operations_keep_to_their_description(described: Api) -> None:
    """The same for calls that use the results of earlier calls."""
    phases = keep_to_description(described, IN_SEQUENCES)
    assert phases["STATEFUL_TESTING"] > 50, phases


def keep_to_description(described: Api, enabled: tuple[str, ...]) -> Counter[str]:
    """Tests the named phases; returns how many requests each made."""
    phases: dict[str, Any] = {name: {"enabled": name in enabled} for name in ALONE + IN_SEQUENCES}
    phases["stateful"]["generation"] = {"max-examples": SEQUENCES}
    config = SchemathesisConfig.from_dict(
        SETTINGS | {"phases": phases, "headers": {"Authorization": f"Bearer {described.key}"}}
    )
    with served(described) as address:
        made, failures = run(schemathesis.openapi.from_url(f"{address}/openapi.json", config=config))
    assert not failures, "\n\n".join(failures[:20])
    assert described.get("/agents"), "the key works still"
    return made


def run(schema: Any) -> tuple[Counter[str], list[str]]:
    """Tests everything; returns how many requests each phase made, and the failures."""
    phases: Counter[str] = Counter()
    failures: list[str] = []
    for event in from_schema(schema).execute():
        if isinstance(event, events.ScenarioFinished):
            phases[event.phase.name] += len(event.recorder.interactions)
            failures += failures_of(event)
        elif isinstance(event, events.NonFatalError):
            failures.append(f"{event.label}: {event.info.format()}")
        elif isinstance(event, events.FatalError):
            raise event.exception
    return phases, failures


SLOWED = "Expected 401 or 403, got `429 Too Many Requests`"
"""Wrong keys of one address are slowed down, and all of these come from one."""


def failures_of(event: events.ScenarioFinished) -> list[str]:
    """Returns each failed check of a scenario, with its request."""
    return [
        f"{event.recorder.label}: {check.failure_info.failure}\n{check.failure_info.code_sample}"
        for checks in event.recorder.checks.values()
        for check in checks
        if check.failure_info is not None and SLOWED not in str(check.failure_info.failure)
    ]
