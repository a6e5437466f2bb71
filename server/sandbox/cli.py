"""The command `redrive-server sandbox`."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from server.sandbox.fault_order import FaultOrder, read_orders
from server.sandbox.guide import guide
from server.sandbox.refused_order import RefusedOrder
from server.sandbox.runner import serve
from server.sandbox.settings import SandboxSettings
from server.sandbox.webhooks import WebhookTarget

if sys.platform == "win32":
    from asyncio import run
else:
    from uvloop import run

APP_SECRET = "REDRIVE_WEBHOOK_APP_SECRET"  # noqa: S105 - a variable's name


def sandbox(
    host: Annotated[str, typer.Option(help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0 = any free one.")] = 8090,
    faults: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="JSON with faults to start with.")
    ] = None,
    delay_ms: Annotated[float, typer.Option(min=0, help="Wait before every answer.")] = 0,
    seed: Annotated[int, typer.Option(help="Picks the people that a share hits.")] = 0,
    keep_arrivals: Annotated[
        int, typer.Option(min=0, help="How many arrivals to keep in full; counts stay.")
    ] = 100_000,
    webhook_url: Annotated[str, typer.Option(help="Tell this address of what was taken.")] = "",
    read_share: Annotated[float, typer.Option(min=0, max=1, help="Of the people: who reads what was sent.")] = 0,
) -> None:
    settings = SandboxSettings(
        host=host,
        port=port,
        delay_seconds=delay_ms / 1_000,
        seed=seed,
        keep_arrivals=keep_arrivals,
        faults=_read(faults) if faults else (),
        webhook=_webhook(webhook_url, read_share) if webhook_url else None,
    )
    try:
        run(serve(settings))
    except OSError as error:
        typer.echo(f"The sandbox cannot listen on {host}:{port}: {error.strerror}", err=True)
        raise typer.Exit(1) from error


sandbox.__doc__ = guide()  # typer shows it as the command's help


def _webhook(url: str, read_share: float) -> WebhookTarget:
    app_secret = os.environ.get(APP_SECRET)
    if not app_secret:
        raise typer.BadParameter(f"needs {APP_SECRET} in the environment, to sign with", param_hint="--webhook-url")
    return WebhookTarget(url=url, app_secret=app_secret, read_share=read_share)


def _read(file: Path) -> tuple[FaultOrder, ...]:
    orders = read_orders(file.read_bytes())
    if isinstance(orders, RefusedOrder):
        raise typer.BadParameter(f"{file}: {orders.field}: {orders.message}", param_hint="--faults")
    return orders
