"""Shapes of runtimes.

Written by tools/clients from the description of the API; do not edit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Required, TypedDict

if TYPE_CHECKING:
    from reveille.shapes.agents import Follow, PresetOut


class A2aRuntimeOut(TypedDict, total=False):
    kind: Required[Literal["a2a"]]
    url: Required[str]


class CommandRuntimeOut(TypedDict, total=False):
    kind: Required[Literal["command"]]
    name: Required[str]


HttpRuntimeOut = TypedDict(
    "HttpRuntimeOut",
    {
        "kind": Required["Literal['http']"],
        "preset": "str | None",
        "url": Required["str"],
        "secret": "str | None",
        "accepted": "str | None",
        "parameters": "dict[str, str] | None",
        "method": "str | None",
        "path": "str | None",
        "body": "Any",
        "sign": "bool | None",
        "reply_path": "str | None",
        "error_path": "str | None",
        "usage_path": "str | None",
        "async": "Follow | None",
    },
    total=False,
)


class LlmRuntimeOut(TypedDict, total=False):
    kind: Required[Literal["llm"]]
    model_id: Required[str]
    fallback_model_id: str | None
    instructions: str
    tool_rounds: int
    tools_by_trust: dict[str, list[str]]


class A2aRuntime(TypedDict, total=False):
    kind: Required[Literal["a2a"]]
    url: Required[str]
    secret: str | None
    headers: dict[str, str] | None


class CommandRuntime(TypedDict, total=False):
    kind: Required[Literal["command"]]
    name: Required[str]


HttpRuntime = TypedDict(
    "HttpRuntime",
    {
        "kind": Required["Literal['http']"],
        "preset": "str | None",
        "url": Required["str"],
        "secret": "str | None",
        "token": "str | None",
        "accepted": "Literal['done', 'awaits'] | None",
        "parameters": "dict[str, str] | None",
        "method": "Literal['GET', 'POST', 'PUT', 'PATCH'] | None",
        "path": "str | None",
        "headers": "dict[str, str] | None",
        "body": "Any",
        "sign": "bool | None",
        "reply_path": "str | None",
        "error_path": "str | None",
        "usage_path": "str | None",
        "async": "Follow | None",
    },
    total=False,
)


class LlmRuntime(TypedDict, total=False):
    kind: Required[Literal["llm"]]
    model_id: Required[str]
    fallback_model_id: str | None
    instructions: str
    tool_rounds: int
    tools_by_trust: dict[str, list[str]]


class RuntimeTypeOut(TypedDict, total=False):
    kind: Required[str]
    label: Required[str]
    summary: Required[str]
    docs: Required[str]
    presets: Required[list[PresetOut]]
    config_schema: Required[dict[str, Any]]


class RuntimeTypesOut(TypedDict, total=False):
    items: Required[list[RuntimeTypeOut]]
