"""After any history, read models rebuilt from an archive and the log equal the original ones."""

from itertools import count
from pathlib import Path

from hypothesis import Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from server.eventstore.archive import archive_messages
from server.eventstore.rebuild import rebuild
from tests.builders import after
from tests.contents import contents
from tests.projections.caller_rules import CallerRules

LATER = after(1_000_000)  # after all events of a run
MOST_RUNS = 5


class ArchivedBooks(CallerRules):
    """Runs a history, then archives its log as far as allowed."""

    archived = 0

    def teardown(self) -> None:
        try:
            store, path = self.db.store, Path(self.folder.name) / "archive"
            ArchivedBooks.archived += archive_messages(store, path, LATER, LATER).messages
            before = self.db.ask(contents)
            assert rebuild(store, archive=path) == {}
            assert self.db.ask(contents) == before
        finally:
            self.db.close()
            self.folder.cleanup()


def test_an_archive_has_all_events_that_a_rebuild_needs() -> None:
    for number in count():
        run_state_machine_as_test(
            seed(number)(type("Books", (ArchivedBooks,), {})),
            settings=settings(
                database=None, deadline=None, max_examples=8, stateful_step_count=40, phases=[Phase.generate]
            ),
        )
        if ArchivedBooks.archived >= 5 or number == MOST_RUNS:
            break

    assert ArchivedBooks.archived >= 5
