"""`redrive dashboard`: the web application."""

from typing import Annotated

import typer

from redrive.cli.command import Session, leave_interrupts

_MISSING = "The dashboard is not installed. It comes with: pip install 'redrive[dashboard]'"


async def dashboard(
    session: Session,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port to listen on.")] = 8080,
    name: Annotated[
        list[str] | None,
        typer.Option(help="A host name under which browsers may ask for it; repeatable. Addresses and localhost may."),
    ] = None,
) -> None:
    """Serves the dashboard, a web application for the server, until it is stopped.

    Where the server asks for authentication, so does the dashboard: each person logs in with a token of their own, and
    REDRIVE_TOKEN and --token are not used.
    """
    try:
        from redrive.dashboard.serve import serve  # noqa: PLC0415 - an extra, and slow to import
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("redrive"):
            raise
        typer.echo(_MISSING, err=True)
        raise typer.Exit(1) from error
    from redrive.dashboard.settings import DashboardSettings  # noqa: PLC0415

    settings = session.settings
    typer.echo(f"The dashboard of {settings.target} is at http://{f'[{host}]' if ':' in host else host}:{port}/")
    leave_interrupts()  # the web server heeds them
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
