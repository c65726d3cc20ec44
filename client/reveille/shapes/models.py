"""Shapes of models.

Written by tools/clients from the description of the API; do not edit.
"""

from __future__ import annotations

from typing import Literal, Required, TypedDict


class ModelOut(TypedDict):
    id: str
    tenant_id: str
    name: str
    provider: str
    model: str
    base_url: str | None
    has_key: bool
    key_env: str | None
    is_enabled: bool
    max_output_tokens: int | None
    input_price: float
    output_price: float
    created_at: str
    updated_at: str


class ModelPage(TypedDict):
    items: list[ModelOut]
    next: str | None


class ModelIn(TypedDict, total=False):
    base_url: str | None
    key: str | None
    key_env: str | None
    is_enabled: bool
    max_output_tokens: int | None
    input_price: float
    output_price: float
    name: Required[str]
    provider: Required[Literal["openai", "openai-compatible", "anthropic", "google"]]
    model: Required[str]


class ModelPatch(TypedDict, total=False):
    base_url: str | None
    key: str | None
    key_env: str | None
    is_enabled: bool
    max_output_tokens: int | None
    input_price: float
    output_price: float
    name: str
    provider: Literal["openai", "openai-compatible", "anthropic", "google"]
    model: str


class ModelTestedOut(TypedDict):
    ok: bool
    latency_ms: int
    text: str
    tokens_in: int
    tokens_out: int
    error: str | None
