"""The rounds of a message's resends: who asked, why, for whom, and what came of it."""

from collections.abc import Mapping

from redrive.dashboard.counts_bar import in_words
from redrive.dashboard.elements import Tag, time_of
from redrive.dashboard.formats import counted, number
from redrive.dashboard.labels import error_label
from redrive.dashboard.table import Table, cell
from redrive.v1.resend_pb2 import CanaryState, RetryRound, RetrySelection, RetryTrigger

COLUMNS = ("Round", "Asked for", "By", "Whom", "What came of it")
_TRIGGERS: Mapping[int, str] = {
    RetryTrigger.RETRY_TRIGGER_MANUAL: "",
    RetryTrigger.RETRY_TRIGGER_AUTO: " (by itself)",
    RetryTrigger.RETRY_TRIGGER_CRON: " (the timer)",
}
_CANARIES: Mapping[int, str] = {
    CanaryState.CANARY_STATE_UNDER_WAY: "; a few first, {} may follow",
    CanaryState.CANARY_STATE_PASSED: "; the few went well, {} followed",
    CanaryState.CANARY_STATE_STOPPED: "; stopped after a few, {} were left alone",
}


class _RoundRow:
    def __init__(self) -> None:
        with Tag("tr") as self.box:
            self._number = cell("Round")
            with cell("Asked for"):
                self._time = time_of(RetryRound().request_time)
            self._by = cell("By")
            self._whom = cell("Whom", classes="wide")
            self._result = cell("What came of it", classes="wide")

    def show(self, item: RetryRound) -> None:
        """Fills the row."""
        self._number.say(str(item.round))
        self._time.attributes(datetime=item.request_time.ToJsonString())
        self._by.say(item.requested_by + _TRIGGERS.get(item.trigger, ""))
        self._whom.say(whom(item))
        self._result.say(in_words(item.counts))


def rounds_table() -> Table[RetryRound]:
    """The table, to be filled."""
    return Table("Rounds of resends", COLUMNS, _RoundRow, "Nothing has been resent.")


def whom(item: RetryRound) -> str:
    """12 recipients of 1 type: rate limit. Why it was."""
    canary = _CANARIES.get(item.canary_state, "").format(number(item.recipients_after_canary))
    words = f"{counted(item.recipients, 'recipient')}{_selected(item.selection)}{canary}"
    return f"{words}. {item.reason}" if item.reason else words


def _selected(selection: RetrySelection) -> str:
    parts = [", chosen one by one"] if selection.recipients_named else []
    if selection.error_types:
        parts.append(": " + ", ".join(error_label(kind).word.lower() for kind in selection.error_types))
    if selection.include_unconfirmed:
        parts.append(", the unconfirmed too")
    if selection.content_changed:
        parts.append(", with corrected text")
    return "".join(parts)
