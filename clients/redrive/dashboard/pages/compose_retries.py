"""The section of Compose for the retry policy, with a hint for each choice."""

from collections.abc import Callable

from redrive.dashboard.pages.compose_hints import NEVER_HELPS, RETRY_HINTS, UNCONFIRMED_HINTS
from redrive.dashboard.state.composition import Composition
from redrive.dashboard.state.retry_choice import SCHEDULES, UNITS, WaitInput
from redrive.dashboard.widgets.elements import Tag, choice
from redrive.dashboard.widgets.inputs import text_input
from redrive.dashboard.widgets.labels import RETRY_TYPES
from redrive.v1.message_pb2 import OnUnconfirmed, RetryType

_UNCONFIRMED = {
    str(OnUnconfirmed.ON_UNCONFIRMED_HOLD): "Hold for a decision",
    str(OnUnconfirmed.ON_UNCONFIRMED_RESEND): "Resend, may arrive twice",
}


class RetriesSection:
    """Stores each choice in the composition at once."""

    def __init__(self, composition: Composition) -> None:
        self._composition = composition
        retry = composition.retry
        kinds = {str(kind): text for kind, text in RETRY_TYPES.items()}
        with Tag("section", "", "card", aria_label="Retries"):
            Tag("h2", "Retries")
            with Tag("div", "", "columns narrow"):
                choice("Retry type", kinds, self._choose_kind, value=str(retry.type))
                text_input(
                    "Maximum retries",
                    self._setter(retry, "max_retries"),
                    value=retry.max_retries,
                    inputmode="numeric",
                )
            self._hint = Tag("p", "", "hint", role="status")
            _advice()
            self._automatic = Tag("div")
            with self._automatic:
                self._draw_schedule()
            choice("Unconfirmed", _UNCONFIRMED, self._choose_unconfirmed, value=str(composition.on_unconfirmed))
            self._unconfirmed_hint = Tag("p", "", "hint", role="status")
            Tag("p", NEVER_HELPS, "muted")
        self._show()

    def _draw_schedule(self) -> None:
        retry = self._composition.retry
        choice(
            "Schedule", {str(key): text for key, text in SCHEDULES.items()}, self._choose_schedule, value=retry.schedule
        )
        self._waits = Tag("div", "", "columns narrow")
        with self._waits:
            self._wait("Wait", retry.wait)
            self._growing = Tag("div", "", "contents")
            with self._growing:
                multiplier = self._setter(retry, "multiplier")
                text_input("Multiplier", multiplier, value=retry.multiplier, inputmode="decimal")
                self._wait("Maximum wait", retry.max_wait)

    def _wait(self, label: str, wait: WaitInput) -> None:
        text_input(label, self._setter(wait, "number"), value=wait.number, inputmode="decimal")
        choice(f"{label}: unit", dict(UNITS), self._setter(wait, "unit"), value=wait.unit)

    def _setter(self, target: object, name: str) -> Callable[[str], None]:
        return lambda value: setattr(target, name, value)

    def _choose_kind(self, value: str) -> None:
        self._composition.retry.type = RetryType.ValueType(int(value))
        self._show()

    def _choose_schedule(self, value: str) -> None:
        self._composition.retry.schedule = next((known for known in SCHEDULES if known == value), "")
        self._show()

    def _choose_unconfirmed(self, value: str) -> None:
        self._composition.on_unconfirmed = OnUnconfirmed.ValueType(int(value))
        self._show()

    def _show(self) -> None:
        retry = self._composition.retry
        self._hint.update_text(RETRY_HINTS[retry.type])
        self._unconfirmed_hint.update_text(UNCONFIRMED_HINTS[self._composition.on_unconfirmed])
        self._automatic.show(when=retry.is_automatic)
        self._waits.show(when=bool(retry.schedule))
        self._growing.show(when=retry.schedule == "backoff")


def _advice() -> None:
    with Tag("details", "", "advice"):
        Tag("summary", "Which retry type for which case?")
        with Tag("dl"):
            for kind, text in RETRY_TYPES.items():
                Tag("dt", text)
                Tag("dd", RETRY_HINTS[kind])
