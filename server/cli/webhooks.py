"""The command `redrive-server webhooks`."""

import os
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from server.observability.logging import configure
from server.webhooks.runner import serve
from server.webhooks.settings import APP_SECRET, VERIFY_TOKEN, WebhookSettings, secret_problem

_HOW_TO_MEND = {
    VERIFY_TOKEN: "choose a random text, as from `openssl rand -hex 32`, and enter the same in the app's dashboard",
    APP_SECRET: "copy the app secret from the app's dashboard",
}


def webhooks(
    listen: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where to listen; port 0 = any free one.")] = (
        "127.0.0.1:8081"
    ),
    server: Annotated[
        str, typer.Option(metavar="HOST:PORT", envvar="REDRIVE_SERVER", help="The server to feed.")
    ] = "127.0.0.1:50051",
    tls: Annotated[bool, typer.Option("--tls", help="Talk TLS to the server, trusting the usual authorities.")] = False,  # noqa: FBT002
    root_certificates: Annotated[
        Path | None,
        typer.Option(
            envvar="REDRIVE_ROOT_CERTIFICATES",
            exists=True,
            dir_okay=False,
            metavar="FILE",
            help="Talk TLS to the server, trusting only these authorities, in PEM.",
        ),
    ] = None,
    client_cert: Annotated[
        Path | None,
        typer.Option(
            envvar="REDRIVE_CLIENT_CERT",
            exists=True,
            dir_okay=False,
            metavar="FILE",
            help="The certificate to show to the server, in PEM.",
        ),
    ] = None,
    client_key: Annotated[
        Path | None,
        typer.Option(envvar="REDRIVE_CLIENT_KEY", exists=True, dir_okay=False, metavar="FILE", help="Its key, in PEM."),
    ] = None,
) -> None:
    """Receives the platform's webhooks at /webhooks, and feeds what they tell of deliveries to a server.

    Subscribe the page to message_echoes, message_deliveries and message_reads. An echo says that a message was sent,
    whatever the server knew; what is delivered and read can be told only after its echo.

    The platform calls over HTTPS: let a proxy with a certificate stand before it. What is secret comes from the
    environment: REDRIVE_WEBHOOK_VERIFY_TOKEN, the text that the app's dashboard was given; REDRIVE_WEBHOOK_APP_SECRET,
    with which the platform signs; REDRIVE_TOKEN, if the server asks who calls: a token whose only scope is `receipts`.
    A body is answered with 200 once it is recorded, and with 503 when it shall come again.
    """
    configure("info")
    host, port = _address(listen)
    settings = WebhookSettings(
        host=host,
        port=port,
        server=server,
        verify_token=_secret(VERIFY_TOKEN),
        app_secret=_secret(APP_SECRET),
        token=os.environ.get("REDRIVE_TOKEN"),
        tls=tls,
        root_certificates=root_certificates,
        client_cert=client_cert,
        client_key=client_key,
    )
    try:
        uvloop.run(serve(settings))
    except (OSError, ValueError) as error:
        _refuse(str(error))


def _address(listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65_535:
        raise typer.BadParameter("must be HOST:PORT, as in 127.0.0.1:8081", param_hint="--listen")
    return host.strip("[]"), int(port)


def _secret(name: str) -> str:
    value = os.environ.get(name, "")
    if problem := secret_problem(value):
        _refuse(f"{name} {problem}: {_HOW_TO_MEND[name]}")
    return value


def _refuse(words: str) -> None:
    typer.echo(f"redrive-server webhooks does not start: {words}", err=True)
    raise typer.Exit(1)
