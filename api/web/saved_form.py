"""Keeps a form that was sent after the session had ended, encrypted in the sign-in page."""

from __future__ import annotations

import json
from dataclasses import dataclass

from flask import request

from api.services import services
from api.web.session import CSRF_FIELD, local_path
from scheduler.domain.errors import ConfigurationError

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


def keep_form() -> str:
    """Encrypts this request's form, so that only this service can read it."""
    fields = [(name, value) for name, value in request.form.items(multi=True) if name != CSRF_FIELD]
    kept = {"path": local_path(request.args.get("path")), "fields": fields}
    return services().box.encrypt(json.dumps(kept)).decode("ascii")


def open_form(text: str) -> KeptForm | None:
    """Decrypts a form from `keep_form`; None for anything else."""
    try:
        kept = json.loads(services().box.decrypt(text.encode())) if text else None
    except ConfigurationError:
        return None
    return kept and KeptForm(kept["path"], [(name, value) for name, value in kept["fields"]])
