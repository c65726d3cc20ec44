"""Generates the Python client's resources and shapes from the API's description."""

from __future__ import annotations

import builtins
import keyword
import re
from dataclasses import dataclass, field
from typing import Any

PREFIX = "/api/v1"
VERBS = {"make": "create", "change": "update", "remove": "delete"}
PLACES = {  # resources whose tag in the API differs from the name that users look for
    "show_agent_triggers": ("triggers", "list_of_agent"),
    "show_trigger_types": ("triggers", "types"),
    "show_runtimes": ("agents", "runtimes"),
    "preview_config": ("triggers", "preview_config"),
    "try_config": ("triggers", "try_config"),
    "try_trigger": ("triggers", "try_now"),
    "show_poll": ("triggers", "poll"),
    "show_approvals": ("triggers", "list_waiting"),
    "approve_trigger": ("triggers", "approve"),
    "reject_trigger": ("triggers", "reject"),
    "rotate_token": ("triggers", "rotate_token"),
    "make_agents": ("agents", "create_many"),
    "make_triggers": ("triggers", "create_many"),
    "wake_agent": ("agents", "wake"),
    "put_heartbeat": ("agents", "put_heartbeat"),
    "show_focus": ("agents", "focus"),
    "resolve": ("agents", "resolve_focus"),
    "show_notes": ("agents", "notes"),
    "put_notes": ("agents", "put_notes"),
    "show_usage": ("agents", "usage"),
    "replay_range": ("deliveries", "replay_range"),
    "download_payload": ("firings", "payload"),
    "acknowledge_firing": ("firings", "acknowledge"),
    "send_message": ("messages", "send"),
    "show_sessions": ("messages", "sessions"),
    "show_session_messages": ("messages", "list_of_session"),
}
ONCE = {"fire_trigger", "wake_agent", "send_message"}
"""Operations that accept an Idempotency-Key."""
HEAD = '''"""{}

Written by tools/clients from the description of the API; do not edit.
"""

from __future__ import annotations
'''


RUNTIMES = "runtimes"


@dataclass
class Resource:
    """The operations of a resource (shapes alone have none), and the shapes that it is the first to use."""

    name: str
    operations: list[tuple[str, str, str, dict[str, Any]]] = field(default_factory=list)
    shapes: list[str] = field(default_factory=list)

    @property
    def title(self) -> str:
        """`notification_targets` -> `NotificationTargets`."""
        return "".join(map(str.capitalize, self.name.split("_")))


def read(document: dict[str, Any]) -> list[Resource]:
    """Reads the resources in the order of the document."""
    resources: dict[str, Resource] = {}
    taken: set[str] = set()
    for path, operations in document["paths"].items():
        if not path.startswith(PREFIX):
            continue
        for method, operation in operations.items():
            tag, name = place_of(operation)
            resource = resources.setdefault(tag, Resource(tag))
            resource.operations.append((name, method.upper(), path.removeprefix(PREFIX), operation))
            for shape in shapes_of(operation, document):
                if shape not in taken and shape not in ("Problem", "FieldError"):
                    taken.add(shape)
                    # Runtimes have a module of their own, as each kind of them brings shapes.
                    home = RUNTIMES if "Runtime" in shape else tag
                    resources.setdefault(home, Resource(home)).shapes.append(shape)
    return list(resources.values())


def place_of(operation: dict[str, Any]) -> tuple[str, str]:
    """Returns the resource and method of an operation: `show_agents` -> agents, list."""
    identity = operation["operationId"]
    if identity in PLACES:
        return PLACES[identity]
    verb, _, _ = identity.partition("_")
    if verb == "show":
        verb = "list" if (result_of(operation) or "").endswith("Page") else "get"
    return re.sub(r"\W", "_", operation["tags"][0]), VERBS.get(verb, verb)


def result_of(operation: dict[str, Any]) -> str | None:
    """Returns the type of an operation's successful response; None for no content."""
    for status, answer in sorted(operation["responses"].items()):
        if status.startswith("2"):
            for kind, content in (answer.get("content") or {}).items():
                return "bytes" if kind == "application/octet-stream" else python_type(content["schema"])
    return None


def body_of(operation: dict[str, Any]) -> str | None:
    """Returns the shape of an operation's body."""
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    return python_type(content["schema"]) if content else None


def shapes_of(part: Any, document: dict[str, Any]) -> list[str]:
    """Returns every shape that `part` refers to, at any depth."""
    found: list[str] = []
    waiting = [part]
    while waiting:
        each = waiting.pop()
        if isinstance(each, list):
            waiting.extend(each)
        elif isinstance(each, dict):
            name = str(each.get("$ref", "")).rpartition("/")[2]
            if name and name not in found:
                found.append(name)
                waiting.append(document["components"]["schemas"][name])
            waiting.extend(value for key, value in each.items() if key != "discriminator")
    return sorted(found)


def python_type(schema: dict[str, Any]) -> str:
    """`{"type": "integer"}` -> `int`."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "const" in schema or "enum" in schema:
        return f"Literal[{', '.join(map(repr, schema.get('enum', [schema.get('const')])))}]"
    for union in ("anyOf", "oneOf"):
        if union in schema:
            return " | ".join(dict.fromkeys(map(python_type, schema[union])))
    match schema.get("type"):
        case "array":
            return f"list[{python_type(schema.get('items', {}))}]"
        case "object":
            values = schema.get("additionalProperties", {})
            return f"dict[str, {python_type(values) if isinstance(values, dict) else 'Any'}]"
        case plain:
            return {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}.get(
                plain, "Any"
            )


def shapes_module(resource: Resource, document: dict[str, Any], owner: dict[str, str]) -> str:
    """Generates the module of the shapes that a resource is the first to use."""
    text = "\n\n".join(shape_of(name, document["components"]["schemas"][name]) for name in resource.shapes)
    doc = HEAD.format(f"Shapes of {resource.name.replace('_', ' ')}.")
    imports = imports_of(text, owner, resource.name)
    guarded = f"if TYPE_CHECKING:\n{imports}\n\n" if imports else ""
    return f"{doc}\nfrom typing import TYPE_CHECKING, Any, Literal, Required, TypedDict\n\n{guarded}{text}"


def imports_of(text: str, owner: dict[str, str], own: str = "") -> str:
    """Generates the imports of the shapes named in `text`, for type checkers only."""
    names = sorted(set(re.findall(r"\b[A-Z]\w+\b", text)) & set(owner))
    return "".join(
        f"    from reveille.shapes.{owner[name]} import {name}\n" for name in names if owner[name] != own
    )


def methods_of(resource: Resource, document: dict[str, Any], owner: dict[str, str], prefix: str) -> str:
    """Generates the module of a resource: blocking methods, or with the prefix Async asynchronous ones."""
    schemas = document["components"]["schemas"]
    methods = "".join(method_of(*each, schemas, is_async=bool(prefix)) for each in resource.operations)
    text = (
        f'class {prefix}{resource.title}:\n    """What is done with {resource.name.replace("_", " ")}."""\n\n'
        f"    def __init__(self, client: {prefix}Client) -> None:\n        self._client = client\n{methods}"
    )
    return (
        HEAD.format(f"Methods of {resource.name.replace('_', ' ')}.")
        + f"\nimport builtins\nfrom collections.abc import {prefix}Iterator\n"
        + "from typing import TYPE_CHECKING, Any, Literal, Unpack\n\n"
        + f"if TYPE_CHECKING:\n    from reveille.client import {prefix}Client\n{imports_of(text, owner)}\n\n{text}"
    )


def shape_of(name: str, schema: dict[str, Any]) -> str:
    """Generates a TypedDict; in requests only required keys are required."""
    if "enum" in schema:
        return f"{name} = {python_type(schema)}\n"
    is_sent = name.endswith(("In", "Patch", "Range")) or "Runtime" in name or name == "McpServer"
    properties = schema.get("properties", {})
    lines = []
    for key, value in properties.items():
        kind = python_type(value)
        kind = f"Required[{kind}]" if is_sent and key in schema.get("required", ()) else kind
        lines.append((key, kind))
    total = ", total=False" if is_sent else ""
    if has_keywords(schema):
        keys = "".join(f"    {key!r}: {kind},\n" for key, kind in quoted(lines))
        return f"{name} = TypedDict({name!r}, {{\n{keys}}}{total})\n"
    return f"class {name}(TypedDict{total}):\n{''.join(f'    {key}: {kind}' + chr(10) for key, kind in lines)}"


def has_keywords(schema: dict[str, Any]) -> bool:
    """Whether a property is named like a Python keyword, such as `from`."""
    return any(map(keyword.iskeyword, schema.get("properties", {})))


def quoted(lines: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Quotes the types, as they are only imported for type checkers."""
    return [
        (key, f"Required[{kind[9:-1]!r}]" if kind.startswith("Required[") else repr(kind)) for key, kind in lines
    ]


def variable(name: str) -> str:
    """Returns a parameter's Python name: reserved names get an underscore."""
    return f"{name}_" if keyword.iskeyword(name) or hasattr(builtins, name) else name


def method_of(
    name: str, verb: str, path: str, operation: dict[str, Any], schemas: dict[str, Any], *, is_async: bool
) -> str:
    """Generates a method, and for a list a second one that iterates over all pages."""
    parameters = operation.get("parameters", [])
    given = [each["name"] for each in parameters if each["in"] == "path"]
    queries = [each for each in parameters if each["in"] == "query"]
    body, result = body_of(operation), result_of(operation)
    takes = [f"{each}: str" for each in given] + (["/"] if given else [])
    options = [
        f"{variable(each['name'])}: {python_type(each['schema']).removesuffix(' | None')} | None = None"
        for each in queries
    ]
    options += ["idempotency_key: str | None = None"] if operation["operationId"] in ONCE else []
    takes += ["*", *options] if options else []
    is_one = body is not None and has_keywords(schemas.get(body, {}))
    fields = [f"**fields: Unpack[{body}]"] if body and not is_one else []
    takes = [*takes[: len(given)], f"fields: {body}", "/", *takes[len(given) + 1 :]] if is_one else takes
    filled = re.sub(r"{(\w+)}", r"{self._client.quote(\1)}", path)
    address = f'f"{filled}"' if given else f'"{path}"'
    passed = [repr(verb), address]
    if queries:
        passed.append(
            "query={" + ", ".join(f"{each['name']!r}: {variable(each['name'])}" for each in queries) + "}"
        )
    passed += ["body=fields"] if body else []
    passed += ["idempotency_key=idempotency_key"] if operation["operationId"] in ONCE else []
    answer = (result or "None").replace("list[", "builtins.list[")
    start, wait = ("async def", "await ") if is_async else ("def", "")
    call = f"{wait}self._client.{'download' if result == 'bytes' else 'call'}({', '.join(passed)})"
    value = (
        f"        {call}\n" if result is None else f"        answer: {answer} = {call}\n        return answer\n"
    )
    doc = f'        """{str(operation["summary"]).strip()}"""\n'
    text = f"\n    {start} {name}({', '.join(['self', *takes, *fields])}) -> {answer}:\n{doc}{value}"
    if name == "list":
        item = python_type(schemas[result]["properties"]["items"]["items"]) if result else "Any"
        kept = [
            option
            for each, option in zip(queries, options, strict=False)
            if each["name"] not in ("limit", "after")
        ]
        takes = [f"{each}: str" for each in given] + (["/"] if given else []) + (["*", *kept] if kept else [])
        query = ", ".join(
            f"{each['name']!r}: {variable(each['name'])}"
            for each in queries
            if each["name"] not in ("limit", "after")
        )
        each = f"self._client.each({address}, query={{{query}}})"
        iterator = "AsyncIterator" if is_async else "Iterator"
        text += (
            f"\n    def each({', '.join(['self', *takes])}) -> {iterator}[{item}]:\n"
            f'        """Go through all of them, page by page."""\n        return {each}\n'
        )
    return text


def index_of(resources: list[Resource], prefix: str) -> str:
    """Generates the class that holds all resources."""
    module = f"{prefix.lower()}_resources".lstrip("_")
    text = HEAD.format("All resources of the API.") + "\nfrom typing import TYPE_CHECKING\n\n"
    text += "".join(f"from reveille.{module}.{each.name} import {prefix}{each.title}\n" for each in resources)
    text += f"\nif TYPE_CHECKING:\n    from reveille.client import {prefix}Client\n"
    text += f'\n\nclass {prefix}Resources:\n    """What the API has."""\n\n'
    text += f"    def __init__(self, client: {prefix}Client) -> None:\n"
    return text + "".join(f"        self.{each.name} = {prefix}{each.title}(client)\n" for each in resources)
