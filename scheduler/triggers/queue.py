"""queue: entries of a message queue. Each fires once and is acknowledged after its firing is stored."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from hashlib import sha256
from typing import Any, ClassVar, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import Field

from scheduler.documents.text import cut
from scheduler.domain.errors import InvalidField
from scheduler.domain.text import text_or_base64
from scheduler.triggers.base import CheckContext
from scheduler.triggers.check_resources import CheckResources
from scheduler.triggers.interval import MAX_SECONDS
from scheduler.triggers.looks import CheckResult, Document, LookConfig, Occurrence
from scheduler.triggers.options import Option
from scheduler.triggers.queues.base import MAX_BYTES, Entry, Queue, QueueAddress
from scheduler.triggers.queues.redis_stream import RedisStream

PORT = 6379
MOST = 100
"""The most entries of a check."""
SHOWN_CHARS = 48_000
"""The size limit of an entry's fields together."""
MAX_WHOLE_BYTES = 1024 * 1024
QUEUES: Mapping[str, Callable[[QueueAddress], Queue]] = {"redis": RedisStream, "rediss": RedisStream}


class QueueConfig(LookConfig):
    """`{"url": "rediss://queue.example.org", "stream": "orders"}`."""

    kind: ClassVar = "queue"
    label: ClassVar = "Queue"
    summary: ClassVar = "When entries are added to a Redis stream; each fires once."
    for_agents: ClassVar = (
        '{"url": "rediss://queue.example.org", "stream": "orders", "username"?: "…", "password"?: "…"}: for each entry '
        "of a Redis stream (only where the operator lets agents make these)"
    )
    icon: ClassVar = "M-5.5-5h7v2.4h-7ZM-5.5-1.2h11v2.4h-11ZM-5.5 2.6h7v2.4h-7Z"
    docs: ClassVar = "docs/triggers/queue.md"
    secrets: ClassVar = ("password",)
    can_try: ClassVar = True
    needs_permission: ClassVar = True
    main_fields: ClassVar = ("url", "stream", "username", "password")
    options: ClassVar = (
        Option("--queue", "url", "The queue's server.", metavar="URL"),
        Option("--stream", "stream", "Which stream.", implies=False),
        Option("--queue-user", "username", "The user name.", implies=False),
        Option("--queue-password", "password", "The password.", "secret", implies=False),
        Option("--group", "group", "The consumer group.", implies=False),
        Option("--from-start", "start", "Start with the existing entries.", "flag", value="all", implies=False),
        Option("--every", "interval_seconds", "How often.", "duration", "20s|5m|2h|1d", implies=False),
    )
    data_headings: ClassVar = {
        "en": {"fields": "Entry:"},
        "zh": {"fields": "条目:"},
    }

    interval_seconds: float = Field(
        default=1.0,
        ge=1,
        le=MAX_SECONDS,
        allow_inf_nan=False,
        title="Check interval (seconds)",
        description="How often it checks an empty stream; while there are entries it continues immediately.",
    )
    url: str = Field(
        min_length=1,
        max_length=1_000,
        title="Server",
        description="redis:// or rediss:// (TLS), with the database number if it is not 0.",
        examples=["rediss://queue.example.org:6379/0"],
    )
    username: str | None = Field(default=None, min_length=1, max_length=500, title="User")
    password: str | None = Field(
        default=None, min_length=1, max_length=2_000, title="Password", description="Kept encrypted."
    )
    stream: str = Field(min_length=1, max_length=500, title="Stream", examples=["orders"])
    group: str | None = Field(
        default=None,
        min_length=1,
        max_length=500,
        title="Consumer group",
        description="Empty: the trigger's own group. Consumers in the same group share the entries.",
    )
    start: Literal["new", "all"] = Field(
        default="new",
        title="Start",
        description="With new entries, or with all existing ones. Applies when the group is created.",
    )
    claim_seconds: float = Field(
        default=60.0,
        ge=1,
        le=MAX_SECONDS,
        allow_inf_nan=False,
        title="Take over after (seconds)",
        description="Entries that another consumer took this long ago and has not acknowledged are taken over.",
    )

    def check(self, context: CheckContext) -> None:
        """Raises InvalidField for an invalid queue URL, and for a server that must not be connected to."""
        url = self._parsed()
        if self.username is not None and self.password is None:
            raise InvalidField("A user name requires a password.", field="password")
        try:
            context.check_server(url.hostname or "", url.port or PORT, PORT)
        except InvalidField as error:
            raise InvalidField(error.message, field="url") from None

    def look_with(self, cursor: Any, resources: CheckResources) -> CheckResult:
        """Takes the available entries."""
        place = self._place(resources)
        with closing(QUEUES[place.url.scheme](place)) as queue:
            if resources.trigger_id is None:
                return CheckResult(cursor, shown=queue.describe())
            taken = queue.take(None if cursor is None else cursor["queue"], MOST)
        gone = taken.gone + (cursor or {"gone": 0})["gone"]
        occurrences = [_occurrence(each, self.stream) for each in taken.entries]
        ids = {key.key: each.id for key, each in zip(occurrences, taken.entries, strict=True)}

        def acknowledge(keys: Sequence[str]) -> None:
            if keys:
                with closing(QUEUES[place.url.scheme](place)) as queue:
                    queue.acknowledge([ids[key] for key in keys])

        return CheckResult(
            {"queue": dict(taken.cursor), "gone": gone},
            note=f"{gone} entries were removed from the stream before they could be read." if gone else None,
            occurrences=occurrences,
            settled=acknowledge if occurrences else None,
            more=taken.more,
        )

    def remembered(self, cursor: Any) -> Any:
        """Returns how far the stream was read."""
        return {"last": cursor["queue"].get("last")}

    def fingerprint(self) -> str:
        """Depends only on the stream and the group: a new password keeps the cursor."""
        url = self._parsed()
        parts = [self.kind, url.hostname, url.port, url.path, self.stream, self.group]
        return sha256(json.dumps(parts).encode()).hexdigest()

    def _parsed(self) -> SplitResult:
        """Returns the URL's parts; raises InvalidField."""
        try:
            url = urlsplit(self.url)
            is_whole = bool(url.hostname) and (url.port is None or url.port > 0)
        except ValueError:
            raise InvalidField("This is not a URL.", field="url") from None
        if url.scheme not in QUEUES or not is_whole:
            raise InvalidField(
                f"Give a URL such as {' or '.join(f'{each}://host' for each in QUEUES)}.", field="url"
            )
        if url.username is not None or url.password is not None:
            raise InvalidField(
                "Use the separate fields for user and password, which are kept secret.", field="url"
            )
        database = url.path.strip("/")
        if url.query or url.fragment or not (database == "" or (database.isdecimal() and len(database) <= 5)):
            raise InvalidField("Only a database number may follow the host.", field="url")
        return url

    def _place(self, resources: CheckResources) -> QueueAddress:
        url = self._parsed()
        return QueueAddress(
            url=url,
            address=resources.address_of(url.hostname or "", url.port or PORT),
            username=self.username,
            password=self.password,
            stream=self.stream,
            group=self.group or f"reveille-{resources.trigger_id}",
            is_shared=self.group is not None,
            starts_with_all=self.start == "all",
            claim_seconds=self.claim_seconds,
        )


def _occurrence(entry: Entry, stream: str) -> Occurrence:
    """Returns the firing of an entry, the same whenever it is delivered. A recreated stream may reuse an id."""
    if entry.fields is None:
        told = {"id": entry.id, "stream": stream, "unread": f"It is larger than {MAX_BYTES} bytes."}
        return Occurrence(f"{stream}/{entry.id}", told)
    hashed = sha256(b"".join(b"%d:%b" % (len(part), part) for pair in entry.fields for part in pair))
    key = f"{stream}/{entry.id}/{hashed.hexdigest()[:16]}"
    fields = _fields(entry.fields)
    text = json.dumps(fields, ensure_ascii=False)
    if len(text) <= SHOWN_CHARS:
        return Occurrence(key, {"id": entry.id, "stream": stream, "fields": fields})
    whole = text.encode("utf-8", "replace")
    data = {"id": entry.id, "stream": stream, "fields": _cut(fields), "document": 1}
    data |= {"document_cut": True} if len(whole) > MAX_WHOLE_BYTES else {}
    return Occurrence(key, data, [Document(f"entry-{entry.id}.json", "application/json", whole[:MAX_WHOLE_BYTES])])


def _fields(pairs: Sequence[tuple[bytes, bytes]]) -> dict[str, Any]:
    """Returns field → value; a list for a repeated field. Binary values become an object with base64."""
    fields: dict[str, Any] = {}
    for name, value in pairs:
        key, told = name.decode("utf-8", "replace"), _value(value)
        if key not in fields:
            fields[key] = told
        elif isinstance(fields[key], list):
            fields[key].append(told)
        else:
            fields[key] = [fields[key], told]
    return fields


def _value(value: bytes) -> str | dict[str, str | None]:
    text, encoded = text_or_base64(value)
    return {"base64": encoded} if text is None else text


def _cut(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Returns as many fields as fit into SHOWN_CHARS, with long ones cut."""
    shown: dict[str, Any] = {}
    each = max(SHOWN_CHARS // (2 * len(fields)), 200)
    left = SHOWN_CHARS
    for name, value in fields.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        short = cut(text, each)
        left -= len(name) + len(short) + 8
        if left < 0:
            break
        shown[cut(name, 1_000)] = value if short == text else short
    return shown
