"""The part of a composition that says what happens with failures, with advice beside each choice."""

from collections.abc import Callable

from redrive.dashboard.composition import Composition
from redrive.dashboard.elements import Tag, choice
from redrive.dashboard.entries import entry
from redrive.dashboard.labels import RETRY_TYPES
from redrive.dashboard.retry_choice import RHYTHMS, UNITS, Wait
from redrive.dashboard.retry_hints import NEVER_HELPS, RETRY_HINTS, UNCONFIRMED_HINTS
from redrive.v1.message_pb2 import OnUnconfirmed, RetryType

_UNCONFIRMED = {
    str(OnUnconfirmed.ON_UNCONFIRMED_HOLD): "Wait for a decision",
    str(OnUnconfirmed.ON_UNCONFIRMED_RESEND): "Resend, perhaps twice",
}


class RetriesPart:
    """Writes each choice into the composition at once."""

    def __init__(self, composition: Composition) -> None:
        self._composition = composition
        retry = composition.retry
        kinds = {str(kind): word for kind, word in RETRY_TYPES.items()}
        with Tag("section", "", "card", aria_label="Failures"):
            Tag("h2", "Failures")
            with Tag("div", "", "columns narrow"):
                choice("Resend failures", kinds, self._choose_kind, value=str(retry.type))
                entry("Retries for each, at most", self._setter(retry, "most"), value=retry.most, inputmode="numeric")
            self._hint = Tag("p", "", "hint", role="status")
            _advice()
            self._automatic = Tag("div")
            with self._automatic:
                self._draw_rhythm()
            choice("Unconfirmed", _UNCONFIRMED, self._choose_unconfirmed, value=str(composition.on_unconfirmed))
            self._unconfirmed_hint = Tag("p", "", "hint", role="status")
            Tag("p", NEVER_HELPS, "muted")
        self._show()

    def _draw_rhythm(self) -> None:
        retry = self._composition.retry
        choice("When", {str(key): word for key, word in RHYTHMS.items()}, self._choose_rhythm, value=retry.rhythm)
        self._waits = Tag("div", "", "columns narrow")
        with self._waits:
            self._wait("Wait", retry.wait)
            self._growing = Tag("div", "", "contents")
            with self._growing:
                multiplier = self._setter(retry, "multiplier")
                entry("Then each time so many times as long", multiplier, value=retry.multiplier, inputmode="decimal")
                self._wait("At the longest", retry.longest)

    def _wait(self, label: str, wait: Wait) -> None:
        entry(label, self._setter(wait, "number"), value=wait.number, inputmode="decimal")
        choice(f"{label}: unit", dict(UNITS), self._setter(wait, "unit"), value=wait.unit)

    def _setter(self, target: object, name: str) -> Callable[[str], None]:
        return lambda value: setattr(target, name, value)

    def _choose_kind(self, value: str) -> None:
        self._composition.retry.type = RetryType.ValueType(int(value))
        self._show()

    def _choose_rhythm(self, value: str) -> None:
        self._composition.retry.rhythm = next((known for known in RHYTHMS if known == value), "")
        self._show()

    def _choose_unconfirmed(self, value: str) -> None:
        self._composition.on_unconfirmed = OnUnconfirmed.ValueType(int(value))
        self._show()

    def _show(self) -> None:
        retry = self._composition.retry
        self._hint.say(RETRY_HINTS[retry.type])
        self._unconfirmed_hint.say(UNCONFIRMED_HINTS[self._composition.on_unconfirmed])
        self._automatic.show(when=retry.is_automatic)
        self._waits.show(when=bool(retry.rhythm))
        self._growing.show(when=retry.rhythm == "backoff")


def _advice() -> None:
    with Tag("details", "", "advice"):
        Tag("summary", "Which retry for which case?")
        with Tag("dl"):
            for kind, word in RETRY_TYPES.items():
                Tag("dt", word)
                Tag("dd", RETRY_HINTS[kind])
