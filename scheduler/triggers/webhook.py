"""webhook: a call of `POST /hooks/{token}`; every delivery is a separate firing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field, field_validator, model_validator

from scheduler.domain.errors import InvalidField
from scheduler.domain.json_path import JsonPathTooCostly, compile_path, compile_stored
from scheduler.domain.shapes import NamesFields
from scheduler.domain.signatures import SignatureConfig
from scheduler.domain.webhook_body import document_of
from scheduler.domain.webhook_parts import Challenge
from scheduler.triggers.base import CheckContext, TriggerConfig
from scheduler.triggers.options import Option

HEADER_NAME = r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$"
"""A token, RFC 9110 section 5.6.2."""
HeaderName = Annotated[str, Field(pattern=HEADER_NAME)]
USUAL_BODY = 64 * 1024
"""The default size limit of a delivery's body in bytes."""
MOST_BODY = 1024 * 1024
FILTER_SECONDS = 0.08
"""The processor time that a filter's path may use for one delivery."""


def hook_url(base: str, token: str) -> str:
    """Returns the URL of the webhook with this token on a service at `base`."""
    return f"{base}/hooks/{token}"


class WebhookFilter(NamesFields):
    """Which deliveries fire: those whose JSON body has a node at `json_path`, and whose `header` equals `equals`."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    json_path: str | None = Field(
        default=None, title="Required JSONPath", description="The body must have a value at this path."
    )
    header: str | None = Field(default=None, pattern=HEADER_NAME, title="Required header")
    equals: str | None = Field(default=None, max_length=1000, title="Header value")

    @field_validator("json_path")
    @classmethod
    def _compiles(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                compile_stored(value)  # also used to read stored hooks, whose paths older versions accepted
            except InvalidField as error:
                raise ValueError(error.message) from None
        return value

    @model_validator(mode="after")
    def _filters_something(self) -> WebhookFilter:
        if (self.header is None) != (self.equals is None):
            raise ValueError("header and equals belong together: the header's name and its required value")
        if self.json_path is None and self.header is None:
            raise ValueError("give json_path, or header and equals, or all three")
        return self

    def header_mismatch(self, headers: Mapping[str, str]) -> str | None:
        """Returns why a delivery with these headers does not fire;

        None if they are not checked. Names are lower case.
        """
        if self.header is None or headers.get(self.header.lower()) == self.equals:
            return None
        return f"the header {self.header} is not {self.equals!r}"

    def look(self, headers: Mapping[str, str], body: bytes) -> tuple[str | None, bool]:
        """Returns why a delivery does not fire, None when it does; and whether evaluating took too long and was
        stopped.
        """
        mismatch = self.header_mismatch(headers)
        if mismatch is not None or self.json_path is None:
            return mismatch, False
        try:
            document = document_of(headers, body)
            selects = compile_stored(self.json_path).selects(document, FILTER_SECONDS)
        except ValueError as error:
            return f"the body cannot be read: {error}", False
        except JsonPathTooCostly as error:
            return f"the filter was stopped: {error.message}", True
        return None if selects else f"the body has nothing at {self.json_path}", False


class WebhookConfig(TriggerConfig):
    """`{"signature": {"scheme": "github", "secret": "…"}, "filter": {"json_path": "$.issue"}}`; `{}` accepts all."""

    kind: ClassVar = "webhook"
    label: ClassVar = "Webhook"
    summary: ClassVar = "When another service calls a URL: each delivery is a firing."
    for_agents: ClassVar = "{}: when somebody posts to the hook_url that the answer holds"
    icon: ClassVar = "M-1.8-5.5h3.6v3.7h3.7v3.6H1.8v3.7h-3.6V1.8h-3.7v-3.6h3.7Z"
    docs: ClassVar = "docs/triggers/webhook.md"
    secrets: ClassVar = ("signature.secret",)
    has_address: ClassVar = True
    main_fields: ClassVar = ("signature",)
    options: ClassVar = (
        Option(
            "--scheme",
            "signature.scheme",
            "The sender's signature scheme, such as github or stripe; see the docs.",
        ),
        Option(
            "--secret", "signature.secret", "The secret that deliveries are signed with.", "secret", "TEXT|@FILE"
        ),
    )

    signature: SignatureConfig | None = Field(
        default=None, title="Signature", description="Leave empty to let anyone who knows the address call."
    )
    filter: WebhookFilter | None = Field(
        default=None, title="Filter", description="Only deliveries that match it fire."
    )
    keep_headers: list[HeaderName] = Field(
        default=[],
        max_length=20,
        title="Headers to keep",
        description="Stored with the firing, unchanged.",
    )
    redact: bool = Field(
        default=True,
        title="Hide secrets",
        description="Removes values that are secret by name from the stored headers and query string.",
    )
    max_body_bytes: int | None = Field(
        default=None,
        ge=1,
        le=MOST_BODY,
        title="Maximum body size (bytes)",
        description="Empty: 64 KiB. At most 1 MiB, and what the tenant allows.",
    )
    challenge: Challenge | None = Field(
        default=None,
        title="Challenge",
        description="The provider whose address verification is answered. Slack's is automatic with "
        "Slack's signature.",
    )

    @property
    def body_limit(self) -> int:
        """Returns the size limit of a body in bytes, within the tenant's."""
        return self.max_body_bytes or USUAL_BODY

    @property
    def echoes(self) -> str | None:
        """Returns the provider whose handshake is answered."""
        signed_by_slack = self.signature is not None and self.signature.scheme == "slack"
        return self.challenge or ("slack" if signed_by_slack else None)

    def check(self, context: CheckContext) -> None:
        """Raises InvalidField for settings that could not work: headers that are not sent, and secrets with line
        ends.
        """
        named = {f"keep_headers.{place}": name for place, name in enumerate(self.keep_headers)}
        if self.filter is not None:
            named["filter.header"] = self.filter.header or ""
            _check_path(self.filter.json_path)
        if self.signature is not None:
            named["signature.header"] = self.signature.header or ""
            _check_secrets(self.signature.secret)
        for field, name in named.items():
            if "_" in name:
                raise InvalidField(
                    f"{name} would not arrive: web servers and proxies drop headers with an underscore, since "
                    f"{name.replace('_', '-')} would read the same. Have it sent with hyphens.",
                    field=field,
                )
        if self.body_limit > context.max_webhook_body_bytes:
            raise InvalidField(
                f"max_body_bytes is {self.body_limit}; the tenant allows {context.max_webhook_body_bytes} "
                "(max_webhook_body_bytes).",
                field="max_body_bytes",
            )


def _check_path(path: str | None) -> None:
    """Refuses a path that the standard does not allow; stored ones are still accepted."""
    try:
        compile_path(path or "$")
    except InvalidField as error:
        raise InvalidField(error.message, field="filter.json_path") from None


def _check_secrets(secret: str | list[str]) -> None:
    for each in [secret] if isinstance(secret, str) else secret:
        if each != each.strip():
            raise InvalidField(
                "The secret begins or ends with a space or a line end, probably pasted by mistake; remove it.",
                field="signature.secret",
            )
