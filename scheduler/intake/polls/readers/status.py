"""status: whether a server is up: the class of its status code, or that it is unreachable."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from scheduler.documents.reader_process import ReaderProcesses
from scheduler.intake.polls.readers.base import Reader
from scheduler.intake.polls.results import CheckDecision, LookFailed
from scheduler.net.client import Answer
from scheduler.net.errors import NetworkError, UrlRefused
from scheduler.triggers.poll import UNREACHABLE, PollConfig, SeenValue


class StatusReader(Reader):
    """Reads only the status. The cursor holds the confirmed class, and one not yet seen often enough."""

    max_bytes: ClassVar = 64 * 1024
    takes_all: ClassVar = True
    in_own_process: ClassVar = False
    keeps_cursor: ClassVar = True

    def read(
        self,
        config: PollConfig,
        answer: Answer | NetworkError,
        baseline: str | None,
        reader_processes: ReaderProcesses,
    ) -> CheckDecision | LookFailed:
        """Returns the class once it has been seen `for_looks` times in a row."""
        if isinstance(answer, UrlRefused):
            return LookFailed(answer.message)
        now = f"{answer.status // 100}xx" if isinstance(answer, Answer) else UNREACHABLE
        before: dict[str, Any] | None = json.loads(baseline) if baseline else None
        counted = _counted(config, before, now)
        told: dict[str, Any] = {"new": now}
        if isinstance(answer, Answer):
            told["status"] = answer.status
        else:
            told["error"] = answer.message
        settled, held = counted["is"], None if before is None else before["is"]
        data = None
        if settled is not None and config.fires(None if held is None else SeenValue(held), SeenValue(settled)):
            data = ({} if held is None else {"old": held}) | told
        return CheckDecision(json.dumps(counted, sort_keys=True), data, _note(config, counted, answer), shown=told)

    def remembered(self, baseline: str) -> SeenValue:
        """Returns the confirmed class."""
        return SeenValue(json.loads(baseline)["is"])


def _counted(config: PollConfig, before: dict[str, Any] | None, now: str) -> dict[str, Any]:
    """Returns the cursor after a check that found `now`."""
    if before is None:
        waits = config.fire_on == "match" and now == config.match_value and config.for_looks > 1
        return {"is": None, "next": now, "looks": 1} if waits else {"is": now}
    if now == before["is"]:
        return {"is": now}
    looks = before.get("looks", 0) + 1 if now == before.get("next") else 1
    return {"is": now} if looks >= config.for_looks else {"is": before["is"], "next": now, "looks": looks}


def _note(config: PollConfig, counted: dict[str, Any], answer: Answer | NetworkError) -> str | None:
    if isinstance(answer, Answer):
        said = None if 200 <= answer.status < 300 else f"The server answered HTTP {answer.status}."
    else:
        said = answer.message
    if "looks" not in counted:
        return said
    return f"{said or 'The server responds normally.'} Seen at {counted['looks']} of {config.for_looks} looks."
