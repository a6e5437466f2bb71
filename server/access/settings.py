"""Settings: who may call, over what, and how much."""

import math
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings

KNOWN_CALLERS_RATE = 1_000.0  # requests per second, where nothing is set


class AccessSettings(BaseSettings):
    """A part of the service's settings."""

    auth: Literal["", "database"] = ""
    auth_file: Path | None = None
    jwt_issuer: str = ""
    jwt_audience: str = ""
    jwt_jwks_file: Path | None = None

    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None

    reflection: Literal["open", "authenticated", "off"] = "open"

    # See server/api/limits.py.
    requests_per_second: float | None = Field(default=None, gt=0)
    requests_burst: int = Field(default=2_000, ge=1)
    watches_per_caller: int = Field(default=1_000, ge=1)
    streams_per_connection: int = Field(default=2_000, ge=1)
    call_seconds: float = Field(default=600.0, gt=0)
    stream_seconds: float = Field(default=3_600.0, gt=0)
    read_seconds: float = Field(default=30.0, gt=0)
    stream_idle_seconds: float = Field(default=60.0, gt=0)
    request_bytes: int = Field(default=32 * 1024 * 1024, ge=64 * 1024, le=1024 * 1024 * 1024)
    calls_at_once: int = Field(default=10_000, ge=1)
    connections: int = Field(default=2_000, ge=16)
    send_streams_per_caller: int = Field(default=20, ge=1)
    refusals_per_second: float = Field(default=10.0, gt=0)
    refusals_burst: int = Field(default=1_000, ge=1)

    @property
    def request_rate(self) -> float:
        """Requests per second of one caller; without a setting, callers who are not told apart have no limit."""
        if self.requests_per_second is not None:
            return self.requests_per_second
        return KNOWN_CALLERS_RATE if self.knows_callers else math.inf

    @property
    def knows_callers(self) -> bool:
        """Whoever calls is asked who it is."""
        return bool(self.auth or self.auth_file or self.jwt_jwks_file)

    @model_validator(mode="after")
    def _all_of_jwt(self) -> Self:
        """A token of any issuer, or for anybody, would be worth nothing."""
        given = [bool(self.jwt_issuer), bool(self.jwt_audience), self.jwt_jwks_file is not None]
        if any(given) and not all(given):
            raise ValueError(
                "REDRIVE_JWT_ISSUER, REDRIVE_JWT_AUDIENCE and REDRIVE_JWT_JWKS_FILE go together: set all three"
            )
        return self

    @model_validator(mode="after")
    def _all_of_tls(self) -> Self:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("REDRIVE_TLS_CERT and REDRIVE_TLS_KEY go together: set both")
        if self.tls_client_ca is not None and self.tls_cert is None:
            raise ValueError(
                "REDRIVE_TLS_CLIENT_CA needs REDRIVE_TLS_CERT and REDRIVE_TLS_KEY: TLS has a server's side"
            )
        return self
