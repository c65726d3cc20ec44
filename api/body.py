"""Checks every JSON body before its shape is validated, and reads a request's trace context."""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

from flask import Request, current_app, request
from flask.json.provider import DefaultJSONProvider

from api.problems import MalformedBody, UnsupportedMediaType
from scheduler.domain.errors import PayloadTooLarge
from scheduler.domain.field_errors import FieldError, InvalidRequest
from scheduler.domain.traces import valid_traceparent

MAX_BODY_BYTES = 1024 * 1024
MAX_DEPTH = 32
"""How deep objects and lists may be nested."""
MAX_INTEGER = 2**63 - 1
SURROGATE = re.compile("[\ud800-\udfff]")


class StrictJson(DefaultJSONProvider):
    """JSON as in RFC 8259: no NaN or Infinity. Responses keep the order of their fields."""

    sort_keys = False
    ensure_ascii = False

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        """Parses `s`; raises ValueError for anything that is not JSON, or a duplicate member (RFC 8259 section 4)."""
        try:
            return json.loads(s, parse_constant=_no_constant, object_pairs_hook=unique_members, **kwargs)
        except RecursionError:
            raise ValueError("it is nested too deeply") from None


class JsonRequest(Request):
    """A request that reports where its body is malformed."""

    def on_json_loading_failed(self, e: ValueError | None) -> NoReturn:
        """Raises MalformedBody, or UnsupportedMediaType when the Content-Type is wrong."""
        if e is None:
            raise UnsupportedMediaType
        raise MalformedBody(f"The body is not valid JSON: {e}.") from None


def read_bytes() -> bytes:
    """Returns the raw body. Raises PayloadTooLarge (413)."""
    declared = request.content_length
    data = request.get_data() if declared is None or declared <= MAX_BODY_BYTES else None
    # A chunked body is cut at the limit.
    if data is None or (declared is None and len(data) >= MAX_BODY_BYTES):
        raise PayloadTooLarge(f"The body is larger than {MAX_BODY_BYTES} bytes.")
    return data


def read_json(*, required: bool) -> None:
    """Parses the request's body once, before the view's shape is applied to it.

    Raises MalformedBody (400), PayloadTooLarge (413), UnsupportedMediaType (415), or InvalidRequest (422) when it
    is not an object or contains values that cannot be stored or shown: NUL, lone surrogates, numbers out of range.
    """
    if not read_bytes():
        if required:
            raise MalformedBody("The body is empty; send a JSON object.")
        return
    value = request.get_json()
    if not isinstance(value, dict):
        raise InvalidRequest([FieldError(field="", rule="object", message="The body must be a JSON object.")])
    _check(value, ())


def _check(value: object, path: tuple[str, ...]) -> None:
    if isinstance(value, str):
        check_text(value, path)
    elif isinstance(value, float) and not math.isfinite(value):
        _refuse(path, "finite", "the number is too large")
    elif isinstance(value, int) and not -MAX_INTEGER <= value <= MAX_INTEGER:
        _refuse(path, "range", "the number is too large")
    elif isinstance(value, dict | list):
        _check_items(value, path)


def _check_items(value: dict[str, Any] | list[Any], path: tuple[str, ...]) -> None:
    if len(path) >= MAX_DEPTH:
        _refuse(path[:3], "depth", f"nested more than {MAX_DEPTH} deep")
    if isinstance(value, dict):
        for key, item in value.items():
            check_text(key, path)
            _check(item, (*path, key))
    else:
        for index, item in enumerate(value):
            _check(item, (*path, str(index)))


def _refuse(path: tuple[str, ...], rule: str, message: str) -> NoReturn:
    raise InvalidRequest([FieldError(field=".".join(path), rule=rule, message=message)])


def read_message() -> object:
    """Parses the JSON-RPC message in the request's body.

    Raises ValueError for an invalid one, or one that could not be answered.
    """
    message = current_app.json.loads(read_bytes())
    if isinstance(message, dict) and isinstance(message.get("id"), str) and SURROGATE.search(message["id"]):
        raise ValueError("its id contains half of a surrogate pair")
    return message


def check_text(text: str, path: tuple[str, ...]) -> None:
    """Raises InvalidRequest for text that cannot be stored or shown."""
    if "\0" in text:
        _refuse(path, "nul", "must not contain the character NUL (U+0000)")
    if not text.isascii() and SURROGATE.search(text):
        _refuse(path, "surrogate", "must not contain half of a surrogate pair (U+D800 to U+DFFF)")


def check_query() -> None:
    """Raises InvalidRequest for a query parameter that cannot be stored or shown."""
    for name, value in request.args.items(multi=True):
        check_text(name, ("query",))
        check_text(value, (name,))
    for name, value in (request.view_args or {}).items():
        if isinstance(value, str):
            check_text(value, (name,))


def check_form() -> None:
    """Raises InvalidRequest for a form field that cannot be stored or shown."""
    for name, value in request.form.items(multi=True):
        check_text(name, ("form",))
        check_text(value, (name,))


def unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Returns the members of an object; raises ValueError for a duplicate name (RFC 8259 section 4)."""
    members = dict(pairs)
    if len(members) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the member {twice[:100]!r} occurs twice")
    return members


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def read_traceparent() -> str | None:
    """Returns the trace context of the request; None for none, or an invalid one."""
    return valid_traceparent(request.headers.get("traceparent"))
