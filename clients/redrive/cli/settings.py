"""The settings of every command, before or after its name: the server, the caller's credentials, the output."""

import os
import re
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from redrive.client import Client

DEFAULT_PORT = 50051
DEFAULT_SERVER = f"127.0.0.1:{DEFAULT_PORT}"
_ONLY_A_HOST = re.compile(r"[\w.-]+|\[[0-9A-Fa-f:.]+\]")


class OutputFormat(StrEnum):
    """The format of the output."""

    TABLE = "table"
    JSON = "json"


@dataclass(frozen=True, kw_only=True)
class CommandSettings:
    """The settings given on the command line; None for those not given."""

    server: Annotated[
        str | None,
        typer.Option(metavar="HOST[:PORT]", help=f"The server (env REDRIVE_SERVER; default {DEFAULT_SERVER})."),
    ] = None
    output: Annotated[OutputFormat | None, typer.Option("--output", "-o", help="table (the default) or json.")] = None
    token: Annotated[
        str | None, typer.Option(help="The caller's token (better in env REDRIVE_TOKEN: ps shows arguments).")
    ] = None
    tls: Annotated[
        bool | None, typer.Option("--tls", help="Use TLS, and trust the system's certificate authorities.")
    ] = None
    root_certificates: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            metavar="FILE",
            help="Use TLS, and trust only these authorities, in PEM (env REDRIVE_ROOT_CERTIFICATES).",
        ),
    ] = None
    client_cert: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Use TLS, and present this certificate, in PEM (env REDRIVE_CLIENT_CERT).",
        ),
    ] = None
    client_key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The key of that certificate, in PEM (env REDRIVE_CLIENT_KEY).")
    ] = None

    def overridden_by(self, other: "CommandSettings") -> "CommandSettings":
        """Return these settings, replaced by those that `other` gives."""
        given = {field.name: getattr(other, field.name) for field in fields(other)}
        return replace(self, **{name: value for name, value in given.items() if value is not None})

    @property
    def target(self) -> str:
        """The server's address."""
        target = self.server or os.environ.get("REDRIVE_SERVER") or DEFAULT_SERVER
        return f"{target}:{DEFAULT_PORT}" if _ONLY_A_HOST.fullmatch(target) else target

    def connect(self) -> Client:
        """Return a client of the server."""
        try:
            return Client(
                self.target,
                token=(self.token or os.environ.get("REDRIVE_TOKEN") or "").strip() or None,
                tls=bool(self.tls),
                root_certificates=self.certificates(),
                client_certificate=self.client_certificate(),
            )
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--token") from error

    def certificates(self) -> bytes | None:
        """Return the certificate authorities to trust, in PEM; None for the system's."""
        path = self.root_certificates or os.environ.get("REDRIVE_ROOT_CERTIFICATES")
        return _content(path, "--root-certificates") if path else None

    def client_certificate(self) -> tuple[bytes, bytes] | None:
        """Return the certificate chain and its key, for a server that requires a client certificate."""
        chain = self.client_cert or os.environ.get("REDRIVE_CLIENT_CERT")
        key = self.client_key or os.environ.get("REDRIVE_CLIENT_KEY")
        if not chain and not key:
            return None
        if not chain or not key:
            raise typer.BadParameter("give both the certificate and its key", param_hint="--client-cert")
        return _content(chain, "--client-cert"), _content(key, "--client-key")


def _content(path: str | Path, option: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise typer.BadParameter(str(error), param_hint=option) from error
