"""feed: new entries of an RSS, Atom or JSON feed."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any, ClassVar

from scheduler.documents.reader_process import ReaderProcesses
from scheduler.intake.polls.readers.base import Reader, etag_of, last_modified_of
from scheduler.intake.polls.results import CheckDecision
from scheduler.net.client import Answer
from scheduler.net.errors import NetworkError
from scheduler.triggers.poll import PollConfig, SeenValue


class FeedReader(Reader):
    """Reads feeds. The cursor holds the keys of known entries and a hash of the response they came with."""

    accept: ClassVar = (
        "application/atom+xml, application/rss+xml, application/feed+json, application/xml;q=0.9, */*;q=0.5"
    )
    keeps_cursor: ClassVar = True

    def read(
        self,
        config: PollConfig,
        answer: Answer | NetworkError,
        baseline: str | None,
        reader_processes: ReaderProcesses,
    ) -> CheckDecision:
        """Returns all new entries in one firing; none at the first check."""
        assert isinstance(answer, Answer)  # noqa: S101  # it takes no other
        validators = (etag_of(answer), last_modified_of(answer))
        before: dict[str, Any] | None = json.loads(baseline) if baseline else None
        hashed = sha256(answer.body).hexdigest()[:32]
        if before is not None and before["hash"] == hashed:
            return CheckDecision(str(baseline), None, before["note"], *validators, {"entries": []})
        told = reader_processes.read(
            "feed",
            answer.body,
            content_type=answer.headers.get("content-type"),
            url=answer.url,
            seen=None if before is None else before["keys"],
            most=config.max_entries,
        )
        data = {"feed": told["title"], "entries": told["entries"]} | (
            {"more": told["more"]} if told["more"] else {}
        )
        if before is not None and not told["entries"]:
            return CheckDecision(str(baseline), None, told["note"], *validators, data)
        cursor = {"hash": hashed, "keys": told["keys"], "count": told["count"], "title": told["title"]}
        text = json.dumps(cursor | {"note": told["note"]})
        return CheckDecision(text, None if before is None else data, told["note"], *validators, data)

    def remembered(self, baseline: str) -> SeenValue:
        """Returns how many entries are known."""
        kept = json.loads(baseline)
        return SeenValue({"feed": kept["title"], "entries": kept["count"], "remembered": len(kept["keys"])})
