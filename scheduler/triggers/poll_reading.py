"""How a poll reads a response: as JSON, text, a page, a feed, or only its status."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from scheduler.documents.page import MAX_SELECTOR_CHARS, compile_selector
from scheduler.domain.bounded_regex import MAX_PATTERN_CHARS, compile_bounded
from scheduler.domain.errors import InvalidField
from scheduler.domain.json_path import compile_path
from scheduler.triggers.poll_request import RequestConfig

MAX_IGNORED = 20

GOES_WITH = {
    "json_path": ("json",),
    "css": ("html",),
    "xpath": ("html",),
    "regex": ("text",),
    "ignore": ("html", "text"),
    "max_entries": ("feed",),
    "for_looks": ("status",),
}
"""Which `read` uses each field."""

Expression = Annotated[str, Field(min_length=1, max_length=MAX_PATTERN_CHARS)]


class ReadingConfig(RequestConfig):
    """A request, and how its response is read."""

    read: Literal["json", "text", "html", "feed", "status"] = Field(
        default="json",
        title="Read as",
        description="json: a value of an API. html: text of a page. feed: new entries of RSS, Atom or JSON Feed. "
        "status: whether the server is up.",
    )
    json_path: str = Field(
        default="$",
        title="JSONPath",
        description="The path of the value (RFC 9535), such as $.status; $ means the whole document.",
    )
    css: str | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_SELECTOR_CHARS,
        title="CSS selector",
        description="For a page: the part to read, such as #price; empty: the whole page.",
        examples=["#price"],
    )
    xpath: str | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_SELECTOR_CHARS,
        title="XPath",
        description="For a page: the part to read, instead of a CSS selector.",
        examples=["//h1/text()"],
    )
    regex: Expression | None = Field(
        default=None,
        title="Regular expression",
        description="For text: the part to read; its first group, if it has one.",
        examples=[r"version (\S+)"],
    )
    ignore: list[Expression] = Field(
        default_factory=list,
        max_length=MAX_IGNORED,
        title="Ignore",
        description="For a page or text: regular expressions for parts to ignore, such as dates.",
    )
    max_entries: int = Field(
        default=20,
        ge=1,
        le=100,
        title="Maximum entries",
        description="For a feed: how many new entries a firing shows; the others are counted.",
    )
    for_looks: int = Field(
        default=1,
        ge=1,
        le=100,
        title="Consecutive checks",
        description="For a status: how many consecutive checks must confirm a new one.",
    )

    @field_validator("json_path")
    @classmethod
    def _is_path(cls, value: str) -> str:
        try:
            compile_path(value)
        except InvalidField as error:
            raise ValueError(error.message) from None
        return value

    @field_validator("css")
    @classmethod
    def _is_css(cls, value: str | None) -> str | None:
        if value is not None:
            compile_selector(css=value, xpath=None)
        return value

    @field_validator("xpath")
    @classmethod
    def _is_xpath(cls, value: str | None) -> str | None:
        if value is not None:
            compile_selector(css=None, xpath=value)
        return value

    @field_validator("regex", "ignore")
    @classmethod
    def _compiles(cls, value: str | list[str] | None) -> str | list[str] | None:
        for expression in [value] if isinstance(value, str) else value or ():
            compile_bounded(expression)
        return value

    def check_reading(self) -> None:
        """Raises InvalidField for fields of another `read`, and for two selectors."""
        for name, reads in GOES_WITH.items():
            field = type(self).model_fields[name]
            if self.read not in reads and getattr(self, name) != field.get_default(call_default_factory=True):
                raise InvalidField(
                    f"{name} goes with read {' or '.join(reads)}; leave it out, or set read to that.", field=name
                )
        if self.css is not None and self.xpath is not None:
            raise InvalidField("Give css or xpath, not both.", field="xpath")
