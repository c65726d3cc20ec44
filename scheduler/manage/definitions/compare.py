"""Compares definitions field by field, and builds the patch from one to the other. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from scheduler.domain.errors import InvalidField
from scheduler.manage.definitions.shapes import Doc, FieldChange

_MISSING = object()


def changed_fields(
    before: Doc, after: Doc, is_secret: Callable[[str], bool], whole: Collection[str] = ()
) -> list[FieldChange]:
    """Returns the fields that differ; null and a missing field are the same.

    What is at a path in `whole` is compared as a whole.
    """
    return [
        FieldChange(path, None, None, is_secret=True) if is_secret(path) else FieldChange(path, old, new)
        for path, old, new in _differences(before, after, "", whole)
    ]


def _differences(
    before: Mapping[str, Any], after: Mapping[str, Any], prefix: str, whole: Collection[str]
) -> Iterator[tuple[str, Any, Any]]:
    for name in [*after, *(each for each in before if each not in after)]:
        path = f"{prefix}{name}"
        old, new = before.get(name), after.get(name)
        if path not in whole and _are_objects(old, new):
            yield from _differences(old or {}, new or {}, f"{path}.", whole)
        elif _bare(old) != _bare(new):
            yield path, old, new


def _are_objects(old: Any, new: Any) -> bool:
    both = [each for each in (old, new) if each is not None]
    return bool(both) and all(isinstance(each, Mapping) and each for each in both)


def _bare(value: Any) -> Any:
    """Returns a value without members that are null, as a merge patch cannot set them."""
    if isinstance(value, Mapping):
        return {name: _bare(each) for name, each in value.items() if each is not None}
    return [_bare(each) for each in value] if isinstance(value, list) else value


def patch_to(before: Mapping[str, Any], after: Mapping[str, Any], whole: Collection[str] = ()) -> dict[str, Any]:
    """Returns the merge patch (RFC 7396) that makes `after` of `before`; members in `whole` are replaced."""
    patch: dict[str, Any] = {name: None for name in before if name not in after}
    for name, value in after.items():
        old = before.get(name, _MISSING)
        if old == value:
            continue
        is_merged = name not in whole and isinstance(old, Mapping) and isinstance(value, Mapping)
        patch[name] = patch_to(old, value) if is_merged else value
    return patch


def pick(doc: Any, path: str) -> Any:
    """Returns what is at a dotted path; None when there is nothing."""
    for part in path.split("."):
        doc = doc.get(part) if isinstance(doc, Mapping) else None
    return doc


def put(doc: Doc, path: str, value: Any) -> None:
    """Sets what is at a dotted path."""
    *parents, last = path.split(".")
    for part in parents:
        doc = doc.setdefault(part, {})
    doc[last] = value


def keep(doc: Doc, path: str, why: str, held: Doc | None) -> None:
    """Fills in a secret without a value from what is stored. Raises InvalidField when nothing is."""
    stored = None if held is None else pick(held, path)
    if stored is None:
        raise InvalidField(f"{why[0].upper()}{why[1:]}, and there is no stored value to keep.", field=path)
    put(doc, path, stored)


def without(doc: Doc, is_secret: Callable[[str], bool], prefix: str = "") -> Doc:
    """Returns a definition without its secrets."""
    return {
        name: without(value, is_secret, f"{prefix}{name}.") if isinstance(value, dict) else value
        for name, value in doc.items()
        if not is_secret(f"{prefix}{name}")
    }
