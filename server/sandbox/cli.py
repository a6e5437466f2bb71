"""The command `redrive-server sandbox`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from server.sandbox.fault_order import FaultOrder, read_orders
from server.sandbox.guide import guide
from server.sandbox.refused_order import RefusedOrder
from server.sandbox.runner import serve
from server.sandbox.settings import SandboxSettings

if sys.platform == "win32":
    from asyncio import run
else:
    from uvloop import run


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
) -> None:
    settings = SandboxSettings(
        host=host,
        port=port,
        delay_seconds=delay_ms / 1_000,
        seed=seed,
        keep_arrivals=keep_arrivals,
        faults=_read(faults) if faults else (),
    )
    try:
        run(serve(settings))
    except OSError as error:
        typer.echo(f"The sandbox cannot listen on {host}:{port}: {error.strerror}", err=True)
        raise typer.Exit(1) from error


sandbox.__doc__ = guide()  # typer shows it as the command's help


def _read(file: Path) -> tuple[FaultOrder, ...]:
    orders = read_orders(file.read_bytes())
    if isinstance(orders, RefusedOrder):
        raise typer.BadParameter(f"{file}: {orders.field}: {orders.message}", param_hint="--faults")
    return orders
