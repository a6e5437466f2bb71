"""The table of a message's rounds: who asked for it, why, for whom, and its result."""

from collections.abc import Mapping

from redrive.dashboard.widgets.elements import Tag, time_of
from redrive.dashboard.widgets.labels import error_label
from redrive.dashboard.widgets.status import counts_text
from redrive.dashboard.widgets.table import Table, cell
from redrive.texts.formats import format_count, format_number
from redrive.v1.resend_pb2 import CanaryState, RetryRound, RetrySelection, RetryTrigger

COLUMNS = ("Round", "Requested", "By", "Recipients", "Result")
_TRIGGERS: Mapping[int, str] = {
    RetryTrigger.RETRY_TRIGGER_MANUAL: "",
    RetryTrigger.RETRY_TRIGGER_AUTO: " (automatic)",
    RetryTrigger.RETRY_TRIGGER_CRON: " (retry timer)",
}
_CANARIES: Mapping[int, str] = {
    CanaryState.CANARY_STATE_UNDER_WAY: "; canary running, {} may follow",
    CanaryState.CANARY_STATE_PASSED: "; canary passed, {} followed",
    CanaryState.CANARY_STATE_STOPPED: "; canary failed, {} not sent",
}


class _RoundRow:
    def __init__(self) -> None:
        with Tag("tr") as self.box:
            self._number = cell("Round")
            with cell("Requested"):
                self._time = time_of(RetryRound().request_time)
            self._by = cell("By")
            self._recipients = cell("Recipients", classes="wide")
            self._result = cell("Result", classes="wide")

    def show(self, item: RetryRound) -> None:
        self._number.update_text(str(item.round))
        self._time.set_attributes(datetime=item.request_time.ToJsonString())
        self._by.update_text(item.requested_by + _TRIGGERS.get(item.trigger, ""))
        self._recipients.update_text(round_text(item))
        self._result.update_text(counts_text(item.counts))


def rounds_table() -> Table[RetryRound]:
    """Draw the empty table."""
    return Table("Rounds of resends", COLUMNS, _RoundRow, "No resends yet.")


def round_text(item: RetryRound) -> str:
    """Return 12 recipients: rate limit. REASON."""
    canary = _CANARIES.get(item.canary_state, "").format(format_number(item.recipients_after_canary))
    text = f"{format_count(item.recipients, 'recipient')}{_selected(item.selection)}{canary}"
    return f"{text}. {item.reason}" if item.reason else text


def _selected(selection: RetrySelection) -> str:
    parts = [", named"] if selection.recipients_named else []
    if selection.error_types:
        parts.append(": " + ", ".join(error_label(kind).text.lower() for kind in selection.error_types))
    if selection.include_unconfirmed:
        parts.append(", including unconfirmed")
    if selection.content_changed:
        parts.append(", with corrected content")
    return "".join(parts)
