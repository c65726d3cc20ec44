"""JSON templates: what is refused when they are saved, and how values are inserted."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.domain.errors import InvalidField
from scheduler.domain.templates import check_template, fill, fill_path

VALUES: dict[str, Any] = {"text": "a", "number": 3, "none": None, "list": [1, {"b": "{{text}}"}], "no": False}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("template", "filled"),
    [
        ("{{text}}", "a"),
        ("{{ list }}", VALUES["list"]),
        ("{{none}}", None),
        ("{{no}}", False),
        ("<{{none}}|{{no}}|{{number}}>", "<|false|3>"),
        ("{{text}}{{text}}", "aa"),
        ("l: {{list}}", 'l: [1, {"b": "{{text}}"}]'),
        ({"a": ["{{number}}", {"b": "{{text}}!"}], "c": 1.5}, {"a": [3, {"b": "a!"}], "c": 1.5}),
        ("no { {text} } here }}", "no { {text} } here }}"),
    ],
)
def test_values_are_placed_with_their_types_or_as_text(template: object, filled: object) -> None:
    check_template(template, VALUES, "body")
    assert fill(template, VALUES.__getitem__) == filled


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ({"a": [{"b": "{{nme}}"}]}, "body.a[0].b: there is no value 'nme'; the values are text, number"),
        ("{{}}", "there is no value ''"),
        ("{{text.x}}", "there is no value 'text.x'"),
        ("{{TEXT}}", "there is no value 'TEXT'"),
        ("{{text", "{{ has no matching }}"),
        ("{{te{xt}}", "{{ has no matching }}"),
        ({"{{text}}": 1}, "placeholders are only allowed in values"),
        (float("nan"), "is not JSON"),
        ("x" * 70_000, "65536 are allowed"),
    ],
)
def test_what_cannot_be_filled_is_refused(template: object, said: str) -> None:
    with pytest.raises(InvalidField) as refused:
        check_template(template, VALUES, "body")
    assert said in refused.value.message
    assert refused.value.field == "body"


def test_a_template_of_many_levels_is_refused() -> None:
    deep: object = "{{text}}"
    for _ in range(40):
        deep = [deep]
    with pytest.raises(InvalidField, match="32 levels"):
        check_template(deep, VALUES, "body")


@given(JSON)
def test_a_value_never_becomes_part_of_the_template(value: object) -> None:
    assert fill({"a": "{{v}}", "b": ["{{v}}"]}, {"v": value}.__getitem__) == {"a": value, "b": [value]}
    assert isinstance(fill("x{{v}}", {"v": value}.__getitem__), str)


@given(st.text(min_size=1))
def test_a_value_is_one_segment_of_a_path(value: str) -> None:
    if value in (".", ".."):
        with pytest.raises(InvalidField):
            fill_path("/{{v}}", {"v": value}.__getitem__)
        return
    path = fill_path("/a/{{v}}/b", {"v": value}.__getitem__)
    assert path.isascii()
    assert path.count("/") == 3
    assert not set("?#\\ @:") & set(path)
