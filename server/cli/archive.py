"""The command `redrive-server archive`: moves the events of messages that are over for long from the log to files."""

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from server.bootstrap import open_store
from server.cli.maintenance import in_words
from server.cluster.page_leases import living
from server.eventstore.archive import archive_messages
from server.eventstore.archive_file import Facts
from server.eventstore.rebuild import nobody
from server.settings import read_settings

FOLDER = Path("redrive-archive")


def archive(
    older_than_days: Annotated[
        int, typer.Option(min=1, max=3_650, help="Messages that have not changed for so many days.")
    ] = 90,
    folder: Annotated[Path, typer.Option(help="Where the files go.")] = FOLDER,
) -> None:
    """Moves the events of messages that are done from the log to compressed files.

    Stop every server first. Such messages are shown as before, with their counts, lists and reports; nothing is resent
    of them, their past cannot be asked, and `redrive-server rebuild` needs the files: keep them, with a copy. One that
    was cut off goes on when it is run again. The settings are the server's.

    Exit codes: 0, done; 1, it was refused or failed, and what was not moved is in the log still.
    """
    now = datetime.now(UTC)
    with in_words("archive"):
        settings = read_settings()
        workers = nobody if settings.is_embedded else living
        with closing(open_store(settings)) as store:
            moved = archive_messages(store, folder, now - timedelta(days=older_than_days), now, _tell, workers)
    typer.echo(f"{moved.messages:,} messages archived, {moved.events:,} events in {moved.files:,} files")


def _tell(facts: Facts, messages: int) -> None:
    typer.echo(f"{facts.file}: {messages:,} messages, {facts.events:,} events", err=True)
