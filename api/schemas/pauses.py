"""Shapes of pauses."""

from __future__ import annotations

from pydantic import Field

from api.schemas.base import Answer, NoteIn, OptionalBody, Time


class PauseIn(NoteIn):
    """The reason for a pause, and its extent. The whole body is optional."""

    everything: bool = Field(default=False, description="All tenants, as only an operator may.")


class ResumeIn(OptionalBody):
    """The extent of a resume. The whole body is optional."""

    everything: bool = Field(default=False, description="All tenants, as only an operator may.")


class PauseOut(Answer):
    """Whether it is paused; why, by whom and since when."""

    is_paused: bool
    paused_note: str | None
    paused_by: str | None = Field(description="`key:NAME` or `user:NAME`.")
    paused_at: Time | None


class PausesOut(Answer):
    """The pause of the tenant, and that of the whole service."""

    tenant: PauseOut
    service: PauseOut
