"""Each of our modules that is named in a text exists: in strings that are imported later, commands, files and pages."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
from collections.abc import Iterator
from functools import reduce
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
READ = {"", ".py", ".md", ".html", ".toml", ".yml", ".yaml", ".json", ".sh", ".service", ".env", ".cfg", ".ini"}
OURS = "|".join(
    rf"{package}\.{path.stem}"
    for package in ("scheduler", "api", "config")
    for path in sorted((ROOT / package).iterdir())
    if not path.name.startswith(("_", "."))
)
NAME = re.compile(rf"(?<![\w./@-])((?:{OURS})\b(?:\.\w+)*)(?::(\w+))?")
"""A dotted name that begins like one of ours, such as `api.app:create_app`."""
IMPORT = re.compile(r"^ *(?:from|import) .*", re.MULTILINE)
ELSEWHERE = [":(glob)*", "deploy", "examples", "tools"]
MADE_BY_TESTS = {("scheduler.triggers.tide", ""), ("scheduler.triggers.sail", ""), ("scheduler.runtimes.gull", "")}
"""What tests/integration/docs/test_contributing.py adds to a copy of the tree."""


def texts_of(path: Path) -> Iterator[str]:
    """Returns a file's text, and only the strings of a module: elsewhere `api.auth` may be a variable's attribute."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        yield text
        return
    if NAME.search(IMPORT.sub("", text)) is None:
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def named(folders: list[str]) -> set[tuple[str, str]]:
    """Returns the names, each with what follows its colon, in the files of these folders that are in the repository."""
    listed = subprocess.run(
        ["git", "ls-files", *folders], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    paths = [ROOT / each for each in listed.splitlines() if Path(each).suffix in READ]
    return {found for path in paths if path.is_file() for text in texts_of(path) for found in NAME.findall(text)}


def is_module(name: str) -> bool:
    """Whether a module or a package has this name. Imports nothing, as some modules are programs."""
    path = ROOT / name.replace(".", "/")
    return path.is_dir() or path.with_suffix(".py").is_file()


@pytest.mark.parametrize(
    "folders", [["scheduler", "config"], ["api"], ["tests"], ["docs"], ELSEWHERE], ids=" ".join
)
def test_each_module_that_is_named_exists(folders: list[str]) -> None:
    missing, found = [], named(folders) - MADE_BY_TESTS
    assert found
    for name, attribute in sorted(found):
        parts = name.split(".")
        depth = max(end for end in range(1, len(parts) + 1) if is_module(".".join(parts[:end])))
        rest = parts[depth:] + ([attribute] if attribute else [])
        try:
            if rest:
                reduce(getattr, rest, importlib.import_module(".".join(parts[:depth])))
        except AttributeError:
            missing.append(":".join(filter(None, (name, attribute))))
    assert missing == []
