"""Keeps a form that was sent after the session had ended, encrypted in the sign-in page and in the one after it.

It is a form of nobody in particular until somebody signs in, and then of that session: so it is sealed twice, and
what was typed, secrets among it, is in no page in clear.
"""

from __future__ import annotations

from dataclasses import dataclass

from flask import request
from werkzeug.datastructures import ImmutableMultiDict

from api.web.forms.kept_secrets import seal, session_mark, unseal
from api.web.session import CSRF_FIELD, local_path, session_token
from scheduler.domain.errors import Forbidden

AGAIN = "again"
"""The field with a whole form that is sent again."""
DO = "do"
"""The field of the pressed button."""
EDITED = ("/triggers/new", "/edit")
"""The path endings of forms that can be shown again with their values; others are sent again."""


@dataclass(frozen=True, slots=True)
class KeptForm:
    """A form that was sent to `path`: names and values."""

    path: str
    fields: list[tuple[str, str]]

    @property
    def is_shown_again(self) -> bool:
        """Whether continuing shows the form again; otherwise it sends it."""
        return self.path.endswith(EDITED)

    def sealed_for(self, token: str) -> str:
        """Encrypts the fields for the session with `token`; the pressed button only of a form that is sent again."""
        fields = [each for each in self.fields if each[0] != DO or not self.is_shown_again]
        return seal({"session": session_mark(token), "path": self.path, "fields": fields})


def keep_form() -> str:
    """Encrypts this request's form, so that only this service can read it."""
    fields = [(name, value) for name, value in request.form.items(multi=True) if name != CSRF_FIELD]
    return seal({"path": local_path(request.args.get("path")), "fields": fields})


def open_form(text: str) -> KeptForm | None:
    """Decrypts a form from `keep_form`; None for anything else."""
    match unseal(text):
        case {"path": str() as path, "fields": list() as fields}:
            return KeptForm(path, [(name, value) for name, value in fields])
    return None


def reopen_form() -> None:
    """Puts the fields of a form that is sent again in place of the sealed one. Raises Forbidden for another's."""
    sealed = request.form.get(AGAIN)
    if sealed is None:
        return
    match unseal(sealed):
        case {"session": session, "path": request.path, "fields": list() as fields} if session == session_mark(
            session_token()
        ):
            sent = [(name, value) for name, value in request.form.items(multi=True) if name != AGAIN]
            request.form = ImmutableMultiDict([*sent, *((name, value) for name, value in fields)])
        case _:
            raise Forbidden("This form was kept for another session. Go back, and fill it in again.")
