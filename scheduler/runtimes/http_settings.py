"""The settings of an `http` agent: how it is called, how its response is read, and how a run is followed."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, StringConstraints, create_model, field_validator

from scheduler.domain.errors import InvalidField
from scheduler.domain.json_path import compile_path
from scheduler.domain.shapes import Shape
from scheduler.runtimes.base import Option, RuntimeConfig
from scheduler.runtimes.fields import MAX_HEADERS, Bearer, sendable

MAX_PARAMETERS = 20
MAX_VALUES = 50
Text = Annotated[str, StringConstraints(min_length=1, max_length=2000)]
Value = str | bool | int | float
Path = Annotated[str, StringConstraints(min_length=1, max_length=2000)]


def _is_json_path(value: str | None) -> str | None:
    try:
        if value is not None:
            compile_path(value)
    except InvalidField as error:
        raise ValueError(error.message) from None
    return value


class Follow(Shape):
    """How to follow a run that the response only started.

    Its address is in a header of that response (`location`), or taken from its body (`poll_path`).
    """

    location: bool | Text | None = Field(
        None,
        title="Location",
        description="true: the header Location has the address; or the name of another header.",
    )
    poll_path: Path | None = Field(
        None,
        title="Poll path",
        description="Instead of a header: a JSONPath to the address in the answer, or a path such as "
        "/runs/{{answer.id}}.",
    )
    done_path: Path | None = Field(
        None,
        title="Done path",
        description="The JSONPath of the state in the polled response. Default: a 200 means done.",
    )
    done_values: list[Value] | None = Field(
        None,
        min_length=1,
        max_length=MAX_VALUES,
        title="Done values",
        description="The states of a successful end; default: done, completed, success and the like.",
        json_schema_extra={"x-input": "lines"},
    )
    failed_values: list[Value] | None = Field(
        None,
        max_length=MAX_VALUES,
        title="Failed values",
        description="The states of a failed end; default: failed, error, cancelled and the like.",
        json_schema_extra={"x-input": "lines"},
    )
    result_path: Path | None = Field(
        None,
        title="Result path",
        description="Where the result is, if not in the polled response; like the poll path.",
    )
    cancel_path: Path | None = Field(
        None,
        title="Cancel path",
        description="Where the run is cancelled when its invocation is, such as /runs/{{answer.id}}/cancel; as the "
        "poll path. Left out: it goes on there.",
    )
    cancel_method: Literal["POST", "DELETE", "PUT", "PATCH"] | None = Field(
        None, title="Cancel method", description="Left out: POST."
    )
    poll_seconds: float | None = Field(
        None,
        ge=0.5,
        le=3600,
        allow_inf_nan=False,
        title="Poll seconds",
        description="The time between two checks; default: 1, growing to 10.",
    )

    @field_validator("done_path")
    @classmethod
    def _check_path(cls, value: str | None) -> str | None:
        return _is_json_path(value)

    @field_validator("poll_path", "result_path", "cancel_path")
    @classmethod
    def _check_address(cls, value: str | None) -> str | None:
        if value is None or value.startswith("/"):
            return value
        if not value.startswith("$"):
            raise ValueError("it is a JSONPath, which begins with $, or a path, which begins with /")
        return _is_json_path(value)


class _Fields(RuntimeConfig):
    """All settings except `async`."""

    label: ClassVar = "Web server"
    summary: ClassVar = "your own server, called with a signed POST"
    icon: ClassVar = "M-5-4H5V4H-5ZM-5-1H5"
    docs: ClassVar = "docs/runtimes.md#http"
    secrets: ClassVar = ("secret", "token", "headers")
    shown_once: ClassVar = ("secret",)
    sent_along: ClassVar = ("token", "headers")
    whole: ClassVar = ("body",)
    choices: ClassVar = MappingProxyType({"preset": "presets"})
    main_fields: ClassVar = ("url", "secret")
    options: ClassVar = (
        Option("--agent-url", "url", "where it is called.", metavar="URL"),
        Option("--preset", "preset", "the product, such as langgraph.", metavar="NAME"),
        Option(
            "--token",
            "token",
            "sent as a bearer token, or as the preset says.",
            "secret",
            "TEXT|@FILE",
            implies=False,
        ),
        Option("--parameters", "parameters", "what the preset asks for.", "pairs", "NAME=TEXT,…", implies=False),
        Option(
            "--secret",
            "secret",
            "signs the calls, or goes with them.",
            "secret",
            "TEXT|@FILE",
            implies=False,
        ),
    )

    kind: Literal["http"]
    preset: Annotated[str, StringConstraints(max_length=100)] | None = Field(
        None,
        title="Preset",
        description="The product that is called; it provides defaults for the settings below.",
    )
    url: str = Field(
        max_length=8192,
        title="URL",
        description="Every wake is sent here as a POST; with a preset, the address of its server.",
        examples=["https://agent.example.org/wake"],
    )
    secret: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = Field(
        None,
        repr=False,
        title="Signing secret",
        description="Signs every call (Standard Webhooks). Left out, one is made and shown once.",
    )
    token: Bearer | None = Field(
        None,
        repr=False,
        title="Token",
        description="Sent as `Authorization: Bearer`, unless a header contains {{token}}.",
    )
    accepted: Literal["done", "awaits"] | None = Field(
        None,
        title="Answer 202",
        description="What its 202 means: the work is done, or a report will come. Null: a report may come; "
        "an agent that never sent one is taken for done at its deadline.",
    )
    parameters: dict[str, Text] | None = Field(
        None,
        max_length=MAX_PARAMETERS,
        title="Parameters",
        description="What the preset asks for, such as agent_id; each is a placeholder by its name.",
    )
    method: Literal["GET", "POST", "PUT", "PATCH"] | None = Field(
        None, title="Method", description="Default: POST. A GET has no body."
    )
    path: Path | None = Field(
        None,
        title="Path",
        description="Added to the URL; with placeholders, such as /agents/{{agent.id}}.",
        examples=["/v1/agents/{{agent.id}}/messages"],
    )
    headers: dict[str, str] | None = Field(
        None, max_length=MAX_HEADERS, repr=False, title="Headers", description="Sent with every call."
    )
    body: Any = Field(
        None,
        title="Body",
        description='What is sent instead of the request: JSON with placeholders, such as {"input": "{{context}}"}.',
        examples=[{"input": "{{context}}", "id": "{{invocation_id}}"}],
    )
    sign: bool | None = Field(
        None, title="Sign", description="Whether calls are signed. Default: yes, unless the preset turns it off."
    )
    reply_path: Path | None = Field(
        None,
        title="Reply path",
        description="The JSONPath of the reply in the answer. Default: `reply`, or the whole answer.",
    )
    error_path: Path | None = Field(
        None, title="Error path", description="The JSONPath of an error in a 200; a value there fails the attempt."
    )
    usage_path: Path | None = Field(
        None, title="Usage path", description="The JSONPath of tokens and cost in the answer. Default: `usage`."
    )

    _check_headers = field_validator("headers")(sendable)
    _check_paths = field_validator("reply_path", "error_path", "usage_path")(_is_json_path)

    @field_validator("path")
    @classmethod
    def _is_path(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith("/"):
            raise ValueError("it begins with /")
        return value

    @property
    def follow(self) -> Follow | None:
        """How to follow a run. The field's name is a Python keyword."""
        found: Follow | None = getattr(self, "async")
        return found


if TYPE_CHECKING:

    class HttpSettings(_Fields):
        """The settings of an `http` agent."""

else:
    HttpSettings = create_model(
        "HttpSettings",
        __base__=_Fields,
        __module__=__name__,
        **{
            "async": (
                Follow | None,
                Field(None, title="Follow", description="For services that answer with a run to be followed."),
            )
        },
    )
