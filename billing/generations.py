"""The record of a request: who asked what, who answered, what it took. Pure; written by the teller."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID


@dataclass(slots=True)
class GenerationRecord:
    """A row of ``billing_generation``; the names are the columns'. Times in milliseconds."""

    id: UUID
    client_id: int
    key_id: int
    created_at: datetime
    request_id: str
    model_requested: str
    streamed: bool
    is_test: bool
    client_request_id: str = ""
    session_id: str = ""
    user: str = ""
    model: str = ""
    provider: str = ""
    upstream_model: str = ""
    status: str = "failed"  # ok, failed or cancelled
    cancelled: bool = False
    http_status: int = 0
    error_type: str = ""
    finish_reason: str = ""
    native_finish_reason: str = ""
    tokens_prompt: int = 0
    tokens_completion: int = 0
    tokens_cached: int = 0
    tokens_reasoning: int = 0
    usage_source: str = "none"  # provider, estimated or none
    first_token_ms: int | None = None
    duration_ms: int = 0
    upstream_ms: int | None = None
    overhead_ms: float | None = None
    cost: int = 0  # micro-roubles
    attempts: list[dict[str, Any]] = field(default_factory=list)
    dropped_fields: list[str] = field(default_factory=list)
