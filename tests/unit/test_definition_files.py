"""Files of definitions: what YAML means, where faults stand, and where secrets come from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scheduler.definitions.files import Bundle, read_files
from scheduler.definitions.nodes import Fault
from scheduler.definitions.references import References
from scheduler.definitions.yaml_text import dump_yaml, read_yaml
from scheduler.domain.errors import InvalidField


def only(text: str) -> Any:
    """The value of the only document."""
    (document,) = read_yaml(text, "a.yaml")
    return document.plain()


def bundle(folder: Path, **files: str) -> Bundle:
    """The definitions of these files, named without .yaml."""
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return read_files([str(folder)], lambda: b"")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("on", "on"),
        ("no", "no"),
        ("Yes", "Yes"),
        ("true", True),
        ("~", None),
        ("", None),
        ("12:30", "12:30"),
        ("2030-01-31", "2030-01-31"),
        ("2030-01-31T09:00:00Z", "2030-01-31T09:00:00Z"),
        ("007", "007"),
        ("0x1F", "0x1F"),
        ("1_000", "1_000"),
        ("-12", -12),
        ("1e3", 1000.0),
        ("1e999", "1e999"),
        (".inf", ".inf"),
        ("'5'", "5"),
        ("=", "="),
    ],
    ids=repr,
)
def test_a_value_means_what_it_means_in_json(written: str, meant: object) -> None:
    value = only(f"a: {written}")["a"]
    assert (value, type(value)) == (meant, type(meant))


def test_names_are_texts_whatever_they_look_like() -> None:
    assert only("on: 1\nno: 2\n3: 4\ntrue: 5") == {"on": 1, "no": 2, "3": 4, "true": 5}


def test_json_is_read_with_its_tabs_and_escapes() -> None:
    value = {"a": ["\U0001f600", "x/y", "\\ud83d", 1.5, None], "tab": "\t"}
    assert only(json.dumps(value, indent="\t")) == value


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("a: 1\nb: 2\na: 3", "a.yaml:3:1", "given twice; line 1"),
        ("a: &a [*a]", "a.yaml:1:8", "does not refer to an earlier anchor"),
        ("a: !!python/object:os.system x", "a.yaml:1:4", "tag"),
        ("a:\n  - [1", "a.yaml:3:1", "not YAML"),
        ("a:\n\t- b", "a.yaml:2:1", "a tab stands"),
        ("é:\n  b: 1\n\tc: 2", "a.yaml:3:1", "a tab stands"),
        ("a: @b", "a.yaml:1:4", "cannot start"),
        ("{a: 1}: 2", "a.yaml:1:1", "name of a member"),
        ("[" * 70 + "]" * 70, "a.yaml:1:61", "deep"),
    ],
    ids=["twice", "itself", "tag", "syntax", "tab", "later-tab", "character", "key", "deep"],
)
def test_a_fault_says_where_it_stands(text: str, place: str, said: str) -> None:
    with pytest.raises(Fault, match=said) as caught:
        read_yaml(text, "a.yaml")
    assert caught.value.message.startswith(f"{place}: ")


def test_aliases_are_bounded() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 30)]
    with pytest.raises(Fault, match="stands for more than"):
        read_yaml("\n".join(lines), "laughs.yaml")


def test_merged_members_do_not_replace_own_ones() -> None:
    assert only("x: &x {a: 1, b: 2}\ny: {<<: *x, b: 3}")["y"] == {"a": 1, "b": 3}


@pytest.mark.parametrize(
    "value",
    ["no", "on", "1e5", "12:30", "null", "", " x", "#x", "a: b", "x\ny\n", "\tz\n1", "2030-01-31", "😀", "0"],
)
def test_what_is_written_is_read_back(value: str) -> None:
    whole = {"a": [value, {"b": value}], value: 1}
    assert only(dump_yaml(whole)) == whole


def test_files_of_a_folder_are_one_bundle(tmp_path: Path) -> None:
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "x.yaml").write_text("nonsense: 1")
    (tmp_path / "z.json").write_text('{"triggers": [{"name": "t2", "agent": "ada"}]}')
    found = bundle(
        tmp_path,
        a="x-common: &c {type: interval}\nagents:\n  - name: ada\n    triggers:\n      - {<<: *c, name: t1}\n",
        b="models: []\n---\nagents:\n",
    )
    body = found.body(References(lambda _: None))
    assert body["agents"] == [{"name": "ada"}]
    assert [(each["agent"], each["name"]) for each in body["triggers"]] == [("ada", "t1"), ("ada", "t2")]
    assert str(found.place("triggers.0.name")) == f"{tmp_path}/a.yaml:5:24"
    assert str(found.place("triggers.1.config.expr")) == f"{tmp_path}/z.json:1:15"


@pytest.mark.parametrize(
    ("text", "has_sections"), [("", False), ("# a\n---\n", False), ("x-a: 1", False), ("agents:", True)]
)
def test_an_empty_file_is_told_from_an_empty_section(tmp_path: Path, text: str, *, has_sections: bool) -> None:
    assert bundle(tmp_path, a=text).has_sections is has_sections


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("agent: []", "agent is not a section"),
        ("agents: {}", "a list"),
        ("- x", "an object"),
        ("agents:\n- name: a\n  triggers:\n  - agent: b", "leave out agent"),
    ],
    ids=["section", "list", "object", "agent"],
)
def test_a_file_of_another_form_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(Fault, match=said):
        bundle(tmp_path, a=text)


def test_secrets_come_from_variables_and_files_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "token.txt").write_text("hush\n")
    text = (
        "models:\n- key: {env: KEY}\n- key: {file: token.txt}\n- key: {env: NONE}\n- key: {file: none.txt}\n"
        "agents:\n- runtime: {body: {env: KEY}, headers: {X: {env: KEY}}}\n"
    )
    body = bundle(tmp_path, a=text).body(References({"KEY": "sk-1"}.get))
    kept = [{"$kept": why} for why in _reasons(tmp_path)]
    assert [each["key"] for each in body["models"]] == ["sk-1", "hush", *kept]
    assert body["agents"] == [{"runtime": {"body": {"env": "KEY"}, "headers": {"X": "sk-1"}}}]


def _reasons(folder: Path) -> list[str]:
    return ["the environment variable NONE is not set", f"the file {folder}/none.txt does not exist"]


def test_an_empty_folder_and_other_texts_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidField, match="holds no"):
        read_files([str(tmp_path)], lambda: b"")
    (tmp_path / "x.yaml").write_bytes(b"a: 1\nb: \xff")
    with pytest.raises(Fault, match=r"x\.yaml:2:1: the file is not UTF-8"):
        read_files([str(tmp_path / "x.yaml")], lambda: b"")
