"""The commands `redrive-server migrate` and `redrive-server rebuild`."""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from projections import read_models
from server.bootstrap import open_store
from server.cli.errors import exit_on_error
from server.cluster.page_leases import live_processes
from server.eventstore import rebuild as rebuilding
from server.eventstore import schema
from server.eventstore.rebuild import Difference, Report
from server.settings import read_settings

DIFFERED = 3  # exit code
PROGRESS_LINES = 10  # without a terminal


def migrate() -> None:
    """Create the database's tables, or migrate them to this release, and print their schema version.

    A server does the same when it starts. It is safe to run twice, or in several processes at once. The settings are
    the server's. Exit code 1: the database cannot be used, or is newer than this release.
    """
    with exit_on_error("redrive-server migrate"), closing(open_store(read_settings())) as store:
        with store.transaction(commit=False) as sql:
            version = schema.version_of(sql)
        typer.echo(f"the database has schema version {version}")


def rebuild(
    archive: Annotated[
        Path | None, typer.Option(show_default=False, help="The folder that `redrive-server archive` wrote to, if any.")
    ] = None,
) -> None:
    """Rebuild the read models from the event store, compare them with the live ones, and replace those that differ.

    Stop every server first. An interrupted rebuild resumes when it is run again; until its end the live read models do
    not change. It needs as much free space as they occupy. The settings are the server's.

    Exit codes: 0, equal; 3, some differed and were replaced; 1, it was refused or failed, and nothing changed.
    """
    with exit_on_error("redrive-server rebuild"):
        settings = read_settings()
        workers = rebuilding.no_workers if settings.is_embedded else live_processes
        with closing(open_store(settings)) as store, _progress() as report:
            found = rebuilding.rebuild(store, report, workers, archive)
    _print_result(found)
    if found:
        raise typer.Exit(DIFFERED)


@contextmanager
def _progress() -> Iterator[Report]:
    """Show a progress bar on a terminal, else a line for each tenth."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Lines().show
        return
    columns = TextColumn("Rebuilding, then comparing"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("", total=None)
        yield lambda position, last: bar.update(task, completed=position, total=last)


class _Lines:
    """Prints the position of the rebuild for each tenth."""

    def __init__(self) -> None:
        self._done = -1

    def show(self, position: int, last: int) -> None:
        done = PROGRESS_LINES * position // max(last, 1)
        if done > self._done:
            self._done = done
            typer.echo(f"position {position} of {last} in the event store", err=True)


def _print_result(found: Mapping[str, Difference]) -> None:
    if not found:
        typer.echo(f"equal: all {len(read_models.TABLE_NAMES)} tables match the event store")
    for table, (live_only, rebuilt_only) in found.items():
        typer.echo(f"{table}: replaced; rows only in the old table {live_only}, only in the new one {rebuilt_only}")
