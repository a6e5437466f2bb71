"""`python -m server.sandbox`: the sandbox without the rest of the server."""

import typer

from server.cli.sandbox import sandbox

cli = typer.Typer(add_completion=False, rich_markup_mode=None)
cli.command()(sandbox)

if __name__ == "__main__":
    cli()
