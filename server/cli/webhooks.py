"""The command `redrive-server webhooks`."""

import os
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from server.cli.errors import exit_on_error, exit_with
from server.observability.logging import configure
from server.webhooks.runner import serve
from server.webhooks.settings import APP_SECRET, VERIFY_TOKEN, WebhookSettings, secret_problem

_LABEL = "redrive-server webhooks does not start"
_REMEDIES = {
    VERIFY_TOKEN: "choose a random text, as from `openssl rand -hex 32`, and enter the same in the app's dashboard",
    APP_SECRET: "copy the app secret from the app's dashboard",
}


def webhooks(
    listen: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where to listen; port 0 = any free one.")] = (
        "127.0.0.1:8081"
    ),
    server: Annotated[
        str, typer.Option(metavar="HOST:PORT", envvar="REDRIVE_SERVER", help="The server that records the receipts.")
    ] = "127.0.0.1:50051",
    tls: Annotated[bool, typer.Option("--tls", help="Use TLS, trusting the system's certificate authorities.")] = False,  # noqa: FBT002
    root_certificates: Annotated[
        Path | None,
        typer.Option(
            envvar="REDRIVE_ROOT_CERTIFICATES",
            exists=True,
            dir_okay=False,
            metavar="FILE",
            help="Use TLS, trusting only these certificate authorities, in PEM.",
        ),
    ] = None,
    client_cert: Annotated[
        Path | None,
        typer.Option(
            envvar="REDRIVE_CLIENT_CERT",
            exists=True,
            dir_okay=False,
            metavar="FILE",
            help="The client certificate to present to the server, in PEM.",
        ),
    ] = None,
    client_key: Annotated[
        Path | None,
        typer.Option(envvar="REDRIVE_CLIENT_KEY", exists=True, dir_okay=False, metavar="FILE", help="Its key, in PEM."),
    ] = None,
) -> None:
    """Receive the platform's webhooks at /webhooks, and report their receipts to a server.

    Subscribe the page to message_echoes, message_deliveries and message_reads. An echo proves that a message was sent,
    also when its outcome was unconfirmed; delivered and read receipts count only after their echo.

    The platform calls over HTTPS: put a proxy with a certificate in front. Secrets come from the environment:
    REDRIVE_WEBHOOK_VERIFY_TOKEN, the text entered in the app's dashboard; REDRIVE_WEBHOOK_APP_SECRET, with which the
    platform signs; REDRIVE_TOKEN, if the server authenticates callers: a token whose only scope is `receipts`.
    The answer is 200 once a body is recorded, and 503 to make the platform repeat it.
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
    with exit_on_error(_LABEL):
        try:
            uvloop.run(serve(settings))
        except ValueError as error:  # of the TLS files
            exit_with(_LABEL, str(error))


def _address(listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65_535:
        raise typer.BadParameter("must be HOST:PORT, as in 127.0.0.1:8081", param_hint="--listen")
    return host.strip("[]"), int(port)


def _secret(name: str) -> str:
    value = os.environ.get(name, "")
    if problem := secret_problem(value):
        exit_with(_LABEL, f"{name} {problem}: {_REMEDIES[name]}")
    return value
