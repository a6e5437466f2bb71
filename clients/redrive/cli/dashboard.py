"""The command `redrive dashboard`."""

from typing import Annotated

import typer

from redrive.cli.command import CommandContext, restore_interrupts

_MISSING = "The dashboard is not installed. Install it: pip install 'redrive[dashboard]'"


async def dashboard(
    ctx: CommandContext,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port to listen on.")] = 8080,
    name: Annotated[
        list[str] | None,
        typer.Option(
            help="A host name that browsers may use; repeatable. IP addresses and localhost are always allowed."
        ),
    ] = None,
) -> None:
    """Serve the dashboard, a web application for the server, until it is stopped.

    If the server requires authentication, so does the dashboard: each user logs in with a token of their own.
    REDRIVE_TOKEN and --token are not used.
    """
    try:
        from redrive.dashboard.application import serve  # noqa: PLC0415 - an optional extra, and slow to import
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("redrive"):
            raise
        typer.echo(_MISSING, err=True)
        raise typer.Exit(1) from error
    from redrive.dashboard.settings import DashboardSettings  # noqa: PLC0415

    settings = ctx.settings
    typer.echo(f"The dashboard of {settings.target} is at http://{f'[{host}]' if ':' in host else host}:{port}/")
    restore_interrupts()  # the web server handles signals itself
    await serve(
        DashboardSettings(
            server=settings.target,
            tls=bool(settings.tls),
            root_certificates=settings.certificates(),
            client_certificate=settings.client_certificate(),
            host=host,
            port=port,
            names=tuple(name or ()),
        )
    )
