"""The commands `redrive-server migrate` and `redrive-server rebuild`: what is done to a database by hand."""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from projections import read_models
from server.bootstrap import StartRefusedError, open_store
from server.cluster.page_leases import living
from server.crypto.key_ring import SecretKeyError
from server.eventstore import rebuild as rebuilding
from server.eventstore import schema
from server.eventstore.archive_file import ArchiveError
from server.eventstore.codec import UnknownEventError
from server.eventstore.postgres.store import PostgresStore
from server.eventstore.rebuild import DatabaseInUseByWorkersError, Difference, Report
from server.eventstore.schema import DatabaseIsNewerError
from server.eventstore.sqlite.store import DatabaseInUseError, SqliteStore
from server.eventstore.store import StagingInUseError
from server.settings import SettingsError, read_settings

DIFFERED = 3  # exit code
STEPS = 10  # lines of progress where there is no terminal

_REFUSALS = (
    *(SettingsError, StartRefusedError, DatabaseInUseError, DatabaseIsNewerError, StagingInUseError, UnknownEventError),
    *(ArchiveError, SecretKeyError, OSError),
)
_AWAY = (*SqliteStore.away, *PostgresStore.away)


def migrate() -> None:
    """Makes the database's tables, or brings them up to this release, and says their version.

    Several processes may do so at once, and again. A server does the same when it starts. The settings are the
    server's. Exit code 1: the database cannot be used, or is newer than this release.
    """
    with in_words("migrate"), closing(open_store(read_settings())) as store:
        with store.transaction(commit=False) as sql:
            version = schema.version_of(sql)
        typer.echo(f"the database has schema version {version}")


def rebuild(
    archive: Annotated[
        Path | None, typer.Option(show_default=False, help="The folder of `redrive-server archive`, if there is one.")
    ] = None,
) -> None:
    """Makes the read models anew from the log, compares them with the live ones, and replaces those that differ.

    Stop every server first. One that was cut off goes on where it was when it is run again; until the end, the live
    read models stay as they are. Beside them there has to be room for as much again. The settings are the server's.

    Exit codes: 0, they are equal; 3, some differed and were replaced; 1, it was refused or failed, and nothing changed.
    """
    with in_words("rebuild"):
        settings = read_settings()
        workers = rebuilding.nobody if settings.is_embedded else living
        with closing(open_store(settings)) as store, _progress() as report:
            found = rebuilding.rebuild(store, report, workers, archive)
    _tell(found)
    if found:
        raise typer.Exit(DIFFERED)


@contextmanager
def in_words(command: str) -> Iterator[None]:
    """Ends the command with exit code 1 and a line when something stands in its way."""
    try:
        yield
    except DatabaseInUseByWorkersError as error:
        _refuse(command, f"servers work on the database, stop them first: {error} (one that was killed counts for 6 s)")
    except _REFUSALS as error:
        _refuse(command, str(error))
    except _AWAY as error:
        _refuse(command, f"the database cannot be used: {error}")


def _refuse(command: str, words: str) -> None:
    typer.echo(f"redrive-server {command}: {' '.join(words.split())}", err=True)
    raise typer.Exit(1)


@contextmanager
def _progress() -> Iterator[Report]:
    """A bar on a terminal, else a line now and then."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Lines().show
        return
    columns = TextColumn("Rebuilding, then comparing"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("", total=None)
        yield lambda position, last: bar.update(task, completed=position, total=last)


class _Lines:
    """Says where the rebuild is, each time another tenth is done."""

    def __init__(self) -> None:
        self._done = -1

    def show(self, position: int, last: int) -> None:
        done = STEPS * position // max(last, 1)
        if done > self._done:
            self._done = done
            typer.echo(f"position {position} of {last} in the log", err=True)


def _tell(found: Mapping[str, Difference]) -> None:
    if not found:
        typer.echo(f"equal: all {len(read_models.NAMES)} tables hold what the log says")
    for table, (live_only, rebuilt_only) in found.items():
        typer.echo(f"{table}: replaced; rows only in the old one {live_only}, only in the new one {rebuilt_only}")
