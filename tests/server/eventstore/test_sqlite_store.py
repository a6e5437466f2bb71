"""The database file: used by one process at a time, and readable by its owner only."""

import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from server.eventstore.commit import Commit, Committed
from server.eventstore.sqlite.store import DatabaseInUseError, SqliteStore
from tests.builders import batch_created, message_submitted
from tests.server.eventstore.event_log_conformance import appended, registered

OPENS_IT = """
import sys
from pathlib import Path
from server.eventstore.sqlite.store import DatabaseInUseError, SqliteStore
try:
    SqliteStore(Path(sys.argv[1])).close()
except DatabaseInUseError:
    sys.exit(3)
"""


def opened_by_another_process(database: Path) -> int:
    return subprocess.run([sys.executable, "-c", OPENS_IT, str(database)], check=False, timeout=30).returncode


def test_another_process_is_refused_while_a_database_is_open(database: Path) -> None:
    store = SqliteStore(database)
    refused = opened_by_another_process(database)
    store.close()

    assert (refused, opened_by_another_process(database)) == (3, 0)


def test_a_second_store_in_one_process_is_refused(database: Path) -> None:
    with closing(SqliteStore(database)), pytest.raises(DatabaseInUseError, match=database.name):
        SqliteStore(database)


def test_a_refusal_does_not_affect_the_first_store(database: Path) -> None:
    with closing(SqliteStore(database)) as store:
        with pytest.raises(DatabaseInUseError):
            SqliteStore(database)

        assert isinstance(store.write_together([Commit([registered("1")])])[0].result, Committed)


def test_readers_do_not_wait_for_a_writer(database: Path) -> None:
    """Write-ahead logging is on."""
    with closing(SqliteStore(database)), closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


def test_the_whole_log_is_read_in_order_from_any_position(database: Path) -> None:
    with closing(SqliteStore(database)) as store:
        store.write_together([Commit([registered(page)]) for page in "abc"])
        first, *rest = store.recorded_after(0, 10)

        assert store.recorded_after(first.position, 10) == rest
        assert store.recorded_after(0, 1) == [first]
        assert [one.stream for one in (first, *rest)] == ["page/a", "page/b", "page/c"]


def test_a_failing_commit_in_a_group_rejects_the_whole_group(database: Path) -> None:
    """The log then writes each commit of the group separately."""
    recipients_of_nobody = Commit([appended("b", 0, message_submitted()), appended("c", 0, batch_created("a", "a"))])
    with closing(SqliteStore(database)) as store:
        with pytest.raises(Exception, match="UNIQUE"):
            store.write_together([Commit([registered("1")]), recipients_of_nobody])

        assert store.recorded_after(0, 10) == []


def test_a_database_is_readable_by_its_owner_only(database: Path) -> None:
    with closing(SqliteStore(database)) as store:
        store.write_together([Commit([registered("1")])])
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in database.parent.glob(f"{database.name}*")}

    assert set(modes) >= {database.name, f"{database.name}-wal"}
    assert set(modes.values()) == {0o600}
