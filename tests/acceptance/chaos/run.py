"""One run: load, faults, and the check when everything has settled."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import httpx

from tests.acceptance.chaos.audit import Report, examine
from tests.acceptance.chaos.faults import draw, rehearse
from tests.acceptance.chaos.load import populate, posting, settle, stop_slots
from tests.acceptance.chaos.stage import Stage, begin, roll, stage

PAUSE_SECONDS = 2.0
UNAVAILABLE = (int(httpx.codes.SERVICE_UNAVAILABLE), "application/problem+json")


def run_chaos(directory: Path, *, seed: int, seconds: float = 0.0, say: Callable[[str], None] = print) -> Report:
    """Causes every fault once, then random ones until `seconds` are over; lets everything settle, and examines
    the result.
    """
    with stage(directory, seed, say) as on:
        begin(on, say)
        hooks = populate(on.processes, on.agents, on.url)
        with posting(hooks, on.answers):
            time.sleep(PAUSE_SECONDS)
            roll(on)
            on.processes.wait_ready()
            deadline = time.monotonic() + seconds
            rehearse(on)
            _draw(on, deadline)
            on.join()
            on.wait_for_database()
        stop_slots(on.url)
        settle(on.url)
        on.report.accepted = on.answers.accepted
        examine(on.url, on.agents, on.report)
        wrong = Counter(each for each in on.answers.refusals if each != UNAVAILABLE)
        on.report.refused = len(on.answers.refusals)
        on.report.found["wrong_answers"] = dict(wrong)
        return on.report


def _draw(on: Stage, deadline: float) -> None:
    while time.monotonic() < deadline:
        time.sleep(PAUSE_SECONDS)
        draw(on)
