"""Settings: environment variables that begin with REDRIVE_, or one TOML file that REDRIVE_CONFIG names."""

import ipaddress
import math
import os
import tomllib
import unicodedata
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from domain.adaptive_rate import MIN_LIMIT
from server.background.timetable import parse_timetable

AUTHENTICATED_RATE = 1_000.0  # default requests per second of an authenticated caller


class AccessSettings(BaseSettings):
    """The settings of authentication, TLS and limits per caller."""

    auth: Literal["", "database"] = ""
    auth_file: Path | None = None
    jwt_issuer: str = ""
    jwt_audience: str = ""
    jwt_jwks_file: Path | None = None

    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None

    reflection: Literal["open", "authenticated", "off"] = "open"

    # See server/api/interceptors/limits.py.
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
        """Return the requests per second of one caller; by default unlimited without authentication."""
        if self.requests_per_second is not None:
            return self.requests_per_second
        return AUTHENTICATED_RATE if self.knows_callers else math.inf

    @property
    def knows_callers(self) -> bool:
        """Return whether callers are authenticated."""
        return bool(self.auth or self.auth_file or self.jwt_jwks_file)

    @model_validator(mode="after")
    def _all_of_jwt(self) -> Self:
        """Refuse to accept tokens of any issuer or for any audience."""
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


_OTHER_NAMES = {
    "REDRIVE_CONFIG",
    # of the `redrive` command
    "REDRIVE_SERVER",
    "REDRIVE_TOKEN",
    "REDRIVE_PAGE_TOKEN",
    "REDRIVE_PAGE_APP_SECRET",
    "REDRIVE_ROOT_CERTIFICATES",
    "REDRIVE_CLIENT_CERT",
    "REDRIVE_CLIENT_KEY",
    "REDRIVE_NEW_SECRET_KEY",  # `redrive-server keys rotate`
    # `redrive-server webhooks`
    "REDRIVE_WEBHOOK_VERIFY_TOKEN",
    "REDRIVE_WEBHOOK_APP_SECRET",
}


class SettingsError(Exception):
    """Some settings are wrong; the text names each and its allowed values."""


def read_settings() -> "Settings":
    """Read the settings from the environment and the file; raises SettingsError."""
    path = os.environ.get("REDRIVE_CONFIG")
    if path and not Path(path).is_file():
        raise SettingsError(f"REDRIVE_CONFIG: the file {path} does not exist")
    try:
        return Settings()
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is not TOML: {error}") from error
    except ValidationError as error:
        problems = error.errors(include_input=False)
        raise SettingsError("; ".join(_problem(problem["loc"], problem["msg"]) for problem in problems)) from error


def _problem(location: tuple[int | str, ...], message: str) -> str:
    name = f"REDRIVE_{str(location[0]).upper()} ({location[0]} in the file): " if location else ""
    return name + message.removeprefix("Value error, ")


def unknown_names() -> list[str]:
    """Return environment variables named like settings that are not: probably misspelt."""
    known = {f"REDRIVE_{name.upper()}" for name in Settings.model_fields} | _OTHER_NAMES
    return sorted(name for name in os.environ if name.startswith("REDRIVE_") and name not in known)


def _timetable(text: str) -> str:
    parse_timetable(text)
    return text


def _listen(text: str) -> str:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise ValueError("must be HOST:PORT, as in 127.0.0.1:50051")
    return text


def _listen_or_off(text: str) -> str:
    return _listen(text) if text else ""


def _database_url(text: str) -> str:
    if text.startswith(("postgresql://", "postgres://")):
        return _postgres_url(text)
    if not text.startswith("sqlite:///") or len(text) == len("sqlite:///"):
        raise ValueError("must be sqlite:///relative.db, sqlite:////absolute/path.db or postgresql://...")
    return text


def _postgres_url(text: str) -> str:
    """Check the URL before it is used, because an error of libpq may quote the password."""
    message = "cannot be parsed: in the user name and the password write @ as %40, / as %2F, % as %25, and so on"
    try:
        parts = conninfo_to_dict(text)
    except psycopg.ProgrammingError:
        raise ValueError(message) from None
    if any("@" in str(parts.get(name, "")) for name in ("host", "dbname")):
        raise ValueError(message)
    return text


def _graph_url(text: str) -> str:
    for character in text:
        if not "!" <= character <= "~":
            name = unicodedata.name(character, "a control character")
            raise ValueError(f"must not hold U+{ord(character):04X} {name}")
    url = urlsplit(text)
    if (
        url.scheme not in ("http", "https") or not url.netloc or "@" in url.netloc
    ):  # the address is shown, so it must not hold a password
        raise ValueError("must be an http(s) address, as in https://graph.facebook.com/v25.0")
    return text.rstrip("/")


class Settings(AccessSettings):
    """The settings of a server; each field is named as its environment variable without the prefix."""

    model_config = SettingsConfigDict(env_prefix="REDRIVE_", hide_input_in_errors=True, extra="forbid")

    listen: Annotated[str, AfterValidator(_listen)] = "127.0.0.1:50051"
    database_url: Annotated[str, AfterValidator(_database_url)] = "sqlite:///redrive.db"
    graph_url: Annotated[str, AfterValidator(_graph_url)] = "https://graph.facebook.com/v25.0"
    messages_per_second: float = Field(default=10.0, ge=MIN_LIMIT, le=100_000, allow_inf_nan=False)
    retry_interval: Annotated[str, BeforeValidator(str), AfterValidator(_timetable)] = "900"
    lease_seconds: float = Field(default=600.0, ge=1)
    heartbeat_seconds: float = Field(default=15.0, gt=0)
    drain_seconds: float = Field(default=30.0, gt=0)
    answer_seconds: float = Field(default=30.0, gt=0)
    secret_key: SecretStr | None = None
    log_level: str = Field(default="info", pattern="^(debug|info|warning|error)$")
    log_format: str = Field(default="auto", pattern="^(auto|json|text)$")
    metrics_listen: Annotated[str, AfterValidator(_listen_or_off)] = ""
    channelz: bool = False
    graph_insecure: bool = False

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic's signature
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment override the file."""
        path = os.environ.get("REDRIVE_CONFIG")
        file = (TomlConfigSettingsSource(settings_cls, toml_file=path),) if path else ()
        return (init_settings, env_settings, *file)

    @model_validator(mode="after")
    def _require_authentication(self) -> Self:
        """Without authentication, listen on loopback only."""
        if not self.knows_callers and not self.is_local:
            raise ValueError(
                f"listen: {self.listen} can be reached from other machines, but callers are not authenticated;"
                " set REDRIVE_AUTH_FILE (`redrive-server tokens create` creates it), REDRIVE_AUTH=database or"
                " REDRIVE_JWT_JWKS_FILE, or listen on 127.0.0.1"
            )
        return self

    @model_validator(mode="after")
    def _require_encryption(self) -> Self:
        """Refuse to send page tokens unencrypted to another machine."""
        url = urlsplit(self.graph_url)
        if url.scheme == "http" and not self.graph_insecure and not _is_loopback(url.hostname or ""):
            raise ValueError(
                f"graph_url: {self.graph_url} is not encrypted, and page tokens would be sent in clear text;"
                " use https://, or set REDRIVE_GRAPH_INSECURE=true for a sandbox on your own network"
            )
        return self

    @property
    def is_local(self) -> bool:
        """Return whether only this machine can call."""
        return _is_loopback(self.listen.rpartition(":")[0])

    @property
    def is_embedded(self) -> bool:
        """Return whether the database is a SQLite file of this process."""
        return self.database_url.startswith("sqlite:")

    @property
    def sqlite_path(self) -> Path:
        """Return the path of the SQLite file."""
        return Path(self.database_url.removeprefix("sqlite:///"))


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
