"""Run the sandbox alone: `python -m server.sandbox`."""

import typer

from server.cli.sandbox import sandbox

cli = typer.Typer(add_completion=False, rich_markup_mode=None)
cli.command()(sandbox)

if __name__ == "__main__":
    cli()
