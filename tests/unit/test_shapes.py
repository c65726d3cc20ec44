"""A refusal of an unknown field says which fields there are."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import Field, ValidationError, field_validator

from scheduler.channels.registry import open_channel
from scheduler.domain.errors import InvalidField
from scheduler.domain.field_errors import field_errors
from scheduler.domain.shapes import Shape
from scheduler.runtimes.registry import RUNTIME


class _Inner(Shape):
    size: int = 1
    for_: str = Field("x", alias="for")

    @field_validator("size")
    @classmethod
    def _check(cls, value: int) -> int:
        if value > 5:
            raise ValueError("it is {too} large")
        return value


class _Outer(Shape):
    inner: _Inner | None = None
    many: list[_Inner] = Field(default_factory=list)


def refused(shape: Any, given: object) -> dict[str, str]:
    with pytest.raises(ValidationError) as caught:
        shape(given)
    return {each.field: each.message for each in field_errors(caught.value)}


def test_the_nearest_field_is_named_or_all_are() -> None:
    assert refused(
        _Outer.model_validate, {"iner": {}, "zzz": 1, "many": [{"sise": 1}, {"fro": 1}, {"qq": 1}]}
    ) == {
        "iner": "There is no such field; the nearest is inner",
        "zzz": "There is no such field; there are inner, many",
        "many.0.sise": "There is no such field; the nearest is size",
        "many.1.fro": "There is no such field; the nearest is for",
        "many.2.qq": "There is no such field; there are size, for",
    }


def test_other_errors_are_reported_beside_it() -> None:
    said = refused(_Outer.model_validate, {"inner": {"size": 9, "Size": 1}, "many": [{"size": "x"}], "y": 1})
    assert said["inner.size"] == "it is {too} large"
    assert said["inner.Size"] == "There is no such field; the nearest is size"
    assert said["many.0.size"] == "It must be a whole number"
    assert list(said)[-1] == "y"


def test_the_value_is_not_repeated() -> None:
    with pytest.raises(ValidationError) as caught:
        _Outer.model_validate({"token": "of-nobody"})
    assert "of-nobody" not in str(caught.value)


@pytest.mark.parametrize(
    ("runtime", "field", "said"),
    [
        ({"kind": "http", "url": "http://x", "bdoy": 1}, "http.bdoy", "the nearest is body"),
        (
            {"kind": "http", "url": "http://x", "async": {"pol_path": "/"}},
            "http.async.pol_path",
            "the nearest is poll_path",
        ),
        ({"kind": "command", "name": "x", "arguments": []}, "command.arguments", "there are kind, name"),
        ({"kind": "a2a", "url": "http://x", "secrte": "x"}, "a2a.secrte", "the nearest is secret"),
    ],
    ids=["http", "async", "command", "a2a"],
)
def test_every_runtime_names_the_nearest_field(runtime: dict[str, Any], field: str, said: str) -> None:
    assert refused(RUNTIME.validate_python, runtime)[field] == f"There is no such field; {said}"


def test_a_channels_secrets_name_the_nearest_field() -> None:
    with pytest.raises(InvalidField, match=r"secrets\.tokn: .*the nearest is token") as caught:
        open_channel("mattermost", {"token": "x", "tokn": "y"})
    assert caught.value.field == "secrets.tokn"
