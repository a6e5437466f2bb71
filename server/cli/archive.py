"""The command `redrive-server archive`."""

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from server.bootstrap import open_store
from server.cli.errors import exit_on_error
from server.cluster.page_leases import live_processes
from server.eventstore.archive import archive_messages
from server.eventstore.archive_file import Manifest
from server.eventstore.rebuild import no_workers
from server.settings import read_settings

FOLDER = Path("redrive-archive")


def archive(
    older_than_days: Annotated[
        int, typer.Option(min=1, max=3_650, help="Archive messages without a change for so many days.")
    ] = 90,
    folder: Annotated[Path, typer.Option(help="Where to write the files.")] = FOLDER,
) -> None:
    """Move the events of finished messages from the event store to compressed files.

    Stop every server first. Archived messages keep their counts, lists and reports, but they cannot be resent and have
    no history. `redrive-server rebuild` needs the files: keep them and a copy. An interrupted run resumes when it is
    run again. The settings are the server's.

    Exit codes: 0, done; 1, it was refused or failed, and events that were not moved are still in the event store.
    """
    now = datetime.now(UTC)
    with exit_on_error("redrive-server archive"):
        settings = read_settings()
        workers = no_workers if settings.is_embedded else live_processes
        with closing(open_store(settings)) as store:
            moved = archive_messages(store, folder, now - timedelta(days=older_than_days), now, _print_file, workers)
    typer.echo(f"{moved.messages:,} messages archived, {moved.events:,} events in {moved.files:,} files")


def _print_file(manifest: Manifest, messages: int) -> None:
    typer.echo(f"{manifest.file}: {messages:,} messages, {manifest.events:,} events", err=True)
