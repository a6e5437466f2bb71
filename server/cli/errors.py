"""How every command of redrive-server reports an error: one line on standard error, and exit code 1."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer

from server.bootstrap import StartRefusedError
from server.crypto.key_ring import SecretKeyError
from server.eventstore.archive_file import ArchiveError
from server.eventstore.codec import UnknownEventError
from server.eventstore.postgres.store import PostgresStore
from server.eventstore.rebuild import DatabaseInUseByWorkersError
from server.eventstore.schema import DatabaseIsNewerError
from server.eventstore.sqlite.store import DatabaseInUseError, SqliteStore
from server.eventstore.store import StagingInUseError
from server.observability.tracing import TracingRefusedError
from server.settings import SettingsError

_EXPLAINED = (
    *(SettingsError, StartRefusedError, SecretKeyError, TracingRefusedError, ArchiveError, UnknownEventError, OSError),
    *(DatabaseInUseError, DatabaseIsNewerError, StagingInUseError),
)
_DATABASE_AWAY = (*SqliteStore.unavailable_errors, *PostgresStore.unavailable_errors)


@contextmanager
def exit_on_error(label: str) -> Iterator[None]:
    """End the command with exit code 1 and the line `LABEL: reason` when an expected error is raised."""
    try:
        yield
    except DatabaseInUseByWorkersError as error:
        reason = f"servers work on the database, stop them first: {error} (a killed one counts for 6 s)"
        exit_with(label, reason)
    except _EXPLAINED as error:
        exit_with(label, str(error))
    except _DATABASE_AWAY as error:
        exit_with(label, f"the database cannot be used: {error}")


def exit_with(label: str, reason: str) -> NoReturn:
    """End the command with exit code 1 and the line `LABEL: reason`."""
    typer.echo(f"{label}: {' '.join(reason.split())}", err=True)
    raise typer.Exit(1)
