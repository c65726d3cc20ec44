"""Applies definitions, kind by kind: finds existing objects, changes what differs, removes what is no longer
defined.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from scheduler.domain.errors import Conflict, InvalidField
from scheduler.manage.definitions.agent_parts import model_names
from scheduler.manage.definitions.compare import changed_fields, pick, without
from scheduler.manage.definitions.shapes import (
    AGENT,
    MODEL,
    ApplyResult,
    Change,
    Doc,
    FieldChange,
    Key,
    StoredDefinition,
    WantedDefinition,
    said,
)
from scheduler.manage.definitions.unit_of_work import Kind, Work
from scheduler.storage.definitions import Definition, drop_marks, last_change, write_marks

MOST_NAMED = 10
Pairs = list[tuple[WantedDefinition, StoredDefinition | None]]


class Apply:
    """One apply to one tenant."""

    def __init__(self, work: Work, set_name: str, marks: Mapping[UUID, Definition]) -> None:
        self.applied = ApplyResult()
        self._work = work
        self._set = set_name
        self._marks = dict(marks)
        self._written: list[dict[str, object]] = []
        self._wanted: set[UUID] = set()
        self._gone: set[UUID] = set()
        self._left_over: list[str] = []
        self._applied_before = {
            (mark.kind, mark.applied.get("agent"), mark.applied["name"]) for mark in marks.values()
        }

    def all(self, kinds: Sequence[Kind], wanted: Sequence[WantedDefinition], *, prune: bool) -> None:
        """Applies every kind, then removes what is left over, in the opposite order."""
        defined = frozenset(each.name for each in wanted if each.kind == AGENT)
        for kind in kinds:
            mine = [each for each in wanted if each.kind == kind.name]
            if kind.name == AGENT:
                lost = {each.name for each in wanted if each.kind == MODEL} - set(self._work.model_ids)
                mine = [each for each in mine if not lost & model_names(each.fields["runtime"])]
            elif kind.name != MODEL:
                mine = self._with_agent(mine, defined)
            self._apply(kind, mine)
        if not self._work.errors.found:
            for kind in reversed(kinds):
                self._leave(kind, prune=prune)
            if self._left_over:
                shown = ", ".join(self._left_over[:MOST_NAMED])
                more = len(self._left_over) - MOST_NAMED
                rest = f" and {more} more" if more > 0 else ""
                self.applied.notes.append(
                    f"No longer in the files: {shown}{rest}; --prune deletes what apply created."
                )
            write_marks(self._work.conn, self._written)
            drop_marks(self._work.conn, self._gone)

    def _with_agent(self, wanted: Sequence[WantedDefinition], defined: frozenset[str]) -> list[WantedDefinition]:
        """Returns those whose agent exists; records an error for an agent that nobody defines."""
        known = self._work.agent_ids
        for each in wanted:
            if each.agent not in known and each.agent not in defined:
                text = f"There is no agent {each.agent!r}: define it under agents, or create it first."
                self._work.errors.note(each.place, InvalidField(text, field="agent"))
        return [each for each in wanted if each.agent in known]

    def _apply(self, kind: Kind, wanted: Sequence[WantedDefinition]) -> None:
        held = kind.read()
        pairs = self._matched(wanted, held)
        kind.prepare(pairs)
        new = []
        for each, found in pairs:
            with self._work.errors.at(each.place):
                desired = kind.desired(each, found)
                if found is None:
                    new.append((each, desired))
                else:
                    self._update(kind, each, found, desired)
        for each, made in kind.create(new):
            self._mark(kind, made.id, each, made.doc, is_made=True)
            note = "It was deleted by hand." if (kind.name, *each.key) in self._applied_before else None
            fields = tuple(
                change
                for change in changed_fields({}, made.doc, kind.is_secret, kind.whole)
                if change.path != "name" and change.after not in (None, "", {}, [])
            )
            self.applied.changes.append(
                Change("create", kind.name, each.agent, each.name, fields, note, made.shown_once)
            )
        kind.learn(kind.read() if wanted else held)

    def _matched(self, wanted: Sequence[WantedDefinition], held: Sequence[StoredDefinition]) -> Pairs:
        """Returns each definition with what is there under its name, or under the one it had."""
        by_key = {each.key: each for each in held}
        seen: dict[Key, str] = {}
        pairs: Pairs = []
        for each in wanted:
            with self._work.errors.at(each.place):
                if each.key in seen:
                    raise Conflict(f"It is defined twice: {seen[each.key]} has the same name.", field="name")
                seen[each.key] = each.place
                pairs.append((each, _found(each, by_key)))
        return pairs

    def _update(self, kind: Kind, wanted: WantedDefinition, held: StoredDefinition, desired: Doc) -> None:
        left_out = {name for name in held.doc if name not in desired and name in kind.keeps}
        before = {name: value for name, value in held.doc.items() if name not in left_out}
        changes = changed_fields(before, desired, kind.is_secret, kind.whole)
        mark = self._marks.get(held.id)
        if mark is not None and mark.set_name != self._set:
            self.applied.notes.append(
                f"{said(kind.name, wanted.agent, wanted.name)} was in set {mark.set_name}; now it is in {self._set}."
            )
        self._mark(kind, held.id, wanted, desired, is_made=False)
        if not changes:
            self.applied.unchanged += 1
            return
        told = tuple(self._edited(kind, held, mark, change) for change in changes)
        shown = kind.update(wanted, held, desired, changes)
        note = None if mark is not None else "It was made by hand; now it is also in the files."
        self.applied.changes.append(Change("update", kind.name, wanted.agent, wanted.name, told, note, shown))

    def _edited(
        self, kind: Kind, held: StoredDefinition, mark: Definition | None, change: FieldChange
    ) -> FieldChange:
        """Returns who manually edited what this change undoes."""
        if mark is None or change.is_secret or pick(mark.applied, change.path) == change.before:
            return change
        if change.path == "is_enabled" and "is_enabled" not in mark.applied:
            return change
        last = last_change(self._work.conn, self._work.tenant.id, held.id)
        return replace(change, edited_by=last.actor if last else "somebody", edited_at=last.at if last else None)

    def _mark(self, kind: Kind, object_id: UUID, wanted: WantedDefinition, doc: Doc, *, is_made: bool) -> None:
        """Marks an object as wanted, if its mark is not so already."""
        self._wanted.add(object_id)
        applied, mark = without(doc, kind.is_secret), self._marks.get(object_id)
        if mark is not None and mark.set_name == self._set and mark.applied == applied | {"agent": wanted.agent}:
            return
        self._written.append(
            {
                "object_id": object_id,
                "tenant_id": self._work.tenant.id,
                "kind": kind.name,
                "set_name": self._set,
                "is_made": is_made,
                "applied": applied | {"agent": wanted.agent},
                "applied_by": self._work.actor,
            }
        )

    def _leave(self, kind: Kind, *, prune: bool) -> None:
        """Removes what apply created and no file contains any longer; forgets what was deleted or taken over."""
        held = {each.id: each for each in kind.read()}
        surplus = []
        for id_, mark in self._marks.items():
            if mark.kind != kind.name or id_ in self._wanted:
                continue
            found = held.get(id_)
            if found is None:
                self._gone.add(id_)
            elif mark.set_name != self._set:
                continue
            elif mark.is_made:
                surplus.append(found)
            elif prune:
                self._gone.add(id_)
                self.applied.notes.append(
                    f"{found.said(kind.name)} is no longer in the files; it was made by hand, and stays."
                )
        if prune and surplus:
            self._delete(kind, surplus)
        else:
            self._left_over += [each.said(kind.name) for each in surplus]

    def _delete(self, kind: Kind, surplus: Sequence[StoredDefinition]) -> None:
        stay = kind.delete_all(surplus)
        for each in surplus:
            if each.id in stay:
                self.applied.notes.append(
                    f"{each.said(kind.name)} is no longer in the files, but stays: {stay[each.id]}."
                )
                continue
            self._gone.add(each.id)
            self.applied.changes.append(Change("delete", kind.name, each.agent, each.name))


def _found(wanted: WantedDefinition, by_key: Mapping[Key, StoredDefinition]) -> StoredDefinition | None:
    """Returns what is there. Raises Conflict when both the new and the former name are taken."""
    found = by_key.get(wanted.key)
    if wanted.renamed_from is None or wanted.renamed_from == wanted.name:
        return found
    former = by_key.get((wanted.agent, wanted.renamed_from))
    if found is not None and former is not None:
        raise Conflict(
            f"There are both {wanted.name!r} and {wanted.renamed_from!r}: leave out renamed_from, or delete one.",
            field="renamed_from",
        )
    return found or former
