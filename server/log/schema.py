"""The version of the database's tables: a program never works on tables that are newer than itself."""

from collections.abc import Sequence

from projections import read_models
from projections.sql import Sql
from server.log import beside

VERSION = 1  # of all tables together, and of what the projections make of events

_TABLE = "CREATE TABLE IF NOT EXISTS redrive_schema (version INTEGER NOT NULL)"


class DatabaseIsNewerError(Exception):
    """A newer release has brought the database to a version that this one does not know."""

    def __init__(self, found: int) -> None:
        super().__init__(
            f"the database has schema version {found}, and this release knows versions up to {VERSION}:"
            " start the release that brought it there, or a newer one"
        )


def bring_up(sql: Sql, log_tables: Sequence[str]) -> None:
    """Makes the tables that are not there, and says the version; raises DatabaseIsNewerError.

    Runs in one transaction, under the log's lock, at each opening.
    """
    sql.execute(_TABLE)
    found = version_of(sql)
    if found > VERSION:
        raise DatabaseIsNewerError(found)
    # Once VERSION is 2: `if found == 1:` change the tables that are there, here, before the rest is made.
    for statement in log_tables:
        sql.execute(statement)
    read_models.create(sql)
    beside.create(sql)
    if found < VERSION:
        sql.execute("DELETE FROM redrive_schema")
        sql.execute("INSERT INTO redrive_schema (version) VALUES (:version)", {"version": VERSION})


def version_of(sql: Sql) -> int:
    """The version of an opened database; 0 when none is written yet."""
    row = sql.row("SELECT MAX(version) AS version FROM redrive_schema")
    return (row and row["version"]) or 0
