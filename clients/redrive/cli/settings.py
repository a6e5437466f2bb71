"""Where the server is, who asks, and how answers are shown: options of every command, before or after its name."""

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


class OutputForm(StrEnum):
    """How answers are shown."""

    TABLE = "table"
    JSON = "json"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What was given on the command line; None where nothing was."""

    server: Annotated[
        str | None,
        typer.Option(metavar="HOST[:PORT]", help=f"The server (env REDRIVE_SERVER; else {DEFAULT_SERVER})."),
    ] = None
    output: Annotated[
        OutputForm | None, typer.Option("--output", "-o", help="Tables for people (the default), or JSON.")
    ] = None
    token: Annotated[
        str | None, typer.Option(help="The caller's token (better in env REDRIVE_TOKEN: ps shows arguments).")
    ] = None
    tls: Annotated[bool | None, typer.Option("--tls", help="Talk TLS, trusting the usual authorities.")] = None
    root_certificates: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            metavar="FILE",
            help="Talk TLS, trusting only these authorities, in PEM (env REDRIVE_ROOT_CERTIFICATES).",
        ),
    ] = None
    client_cert: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Talk TLS, and show this certificate, in PEM (env REDRIVE_CLIENT_CERT).",
        ),
    ] = None
    client_key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The key of that certificate, in PEM (env REDRIVE_CLIENT_KEY).")
    ] = None

    def overridden_by(self, other: "Settings") -> "Settings":
        """These, but for what the other gives."""
        given = {field.name: getattr(other, field.name) for field in fields(other)}
        return replace(self, **{name: value for name, value in given.items() if value is not None})

    @property
    def target(self) -> str:
        """The server's address."""
        target = self.server or os.environ.get("REDRIVE_SERVER") or DEFAULT_SERVER
        return f"{target}:{DEFAULT_PORT}" if _ONLY_A_HOST.fullmatch(target) else target

    def connect(self) -> Client:
        """A client of that server."""
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
        """The authorities to trust; None for the usual ones."""
        path = self.root_certificates or os.environ.get("REDRIVE_ROOT_CERTIFICATES")
        return _content(path, "--root-certificates") if path else None

    def client_certificate(self) -> tuple[bytes, bytes] | None:
        """What is shown to a server that asks who calls: a chain and its key."""
        chain = self.client_cert or os.environ.get("REDRIVE_CLIENT_CERT")
        key = self.client_key or os.environ.get("REDRIVE_CLIENT_KEY")
        if not chain and not key:
            return None
        if not chain or not key:
            raise typer.BadParameter("a certificate and its key go together: give both", param_hint="--client-cert")
        return _content(chain, "--client-cert"), _content(key, "--client-key")


def _content(path: str | Path, option: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise typer.BadParameter(str(error), param_hint=option) from error
