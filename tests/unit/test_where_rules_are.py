"""Where things are: pages call services, never a view of the API, the API contains no SQL, and packages say what is in
them.
"""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import api
import config
import scheduler

API = Path(api.__file__).parent
WEB = API / "web"
WRITES = {"insert", "update", "delete"}


def _imported(path: Path) -> Iterator[tuple[str, str]]:
    """Returns each name that a module imports, with its module."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            yield from ((node.module, alias.name) for alias in node.names)


def _is_view(module: str, name: str) -> bool:
    """Whether it is a view of the API, or a module that contains some."""
    found = getattr(importlib.import_module(module), name)
    if isinstance(found, ModuleType):
        return any(hasattr(each, "access") for each in vars(found).values())
    return hasattr(found, "access")


def _is_of_the_api(module: str) -> bool:
    return module.partition(".")[0] == "api" and not module.startswith("api.web")


def test_no_page_calls_a_view_of_the_api() -> None:
    called = [
        f"{path.name}: {module}.{name}"
        for path in sorted(WEB.rglob("*.py"))
        for module, name in _imported(path)
        if _is_of_the_api(module) and _is_view(module, name)
    ]
    assert called == []


def test_no_page_reads_an_answer_of_the_api_back() -> None:
    reading = [path.name for path in sorted(WEB.rglob("*.py")) if "get_json" in path.read_text()]
    assert reading == []


def test_the_api_writes_no_sql() -> None:
    writing = [
        f"{path.relative_to(API)}: {name}"
        for path in sorted(API.rglob("*.py"))
        for module, name in _imported(path)
        if module.startswith("sqlalchemy") and name in WRITES
    ]
    assert writing == []


def test_every_package_says_what_belongs_in_it_and_what_does_not() -> None:
    silent = []
    for root in (api, config, scheduler):
        for path in sorted(Path(root.__file__ or "").parent.rglob("__init__.py")):
            if path.parent.name not in ("migrations", "versions"):
                words = ast.get_docstring(ast.parse(path.read_text())) or ""
                if len(words.splitlines()) < 3 or "Not here:" not in words:
                    silent.append(str(path))
    assert silent == []


def test_a_view_is_known_as_one() -> None:
    assert _is_view("api.resources.agents", "make_agent")
    assert not _is_view("api.presenters", "agent_out")
