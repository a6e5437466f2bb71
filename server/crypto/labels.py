"""Labels: titles of messages, names of pages and reasons, sealed as text in the fields and columns of earlier releases.

One key seals all labels (server_keys.py stores it), so that a list of 1,000 messages needs one key, not 1,000. A title
stays readable after a cleanup and after an erasure, so a key with a shorter life does not fit.

To open a label takes 1 to 4 microseconds, a tenth of the time for one message of a list. A cache of opened labels
answers in 0.2 microseconds and more. docs/decisions/034-sealed-labels.md has the measurements.
"""

from binascii import Error as NotBase64
from binascii import a2b_base64, b2a_base64

import msgspec
from cryptography.exceptions import InvalidTag

from domain.event import Event
from domain.message_events import MessageSubmitted, RetryRequested
from domain.page_events import PageHeld
from server.crypto.key_ring import SealingKey
from server.eventstore.codec import SEALED_LABEL, is_sealed_label

CACHED_LABELS = 8_192  # of each kind: eight full pages of a list, 4 MB; 20 MB if all have the maximum length


class LabelKind:
    """Seals and opens labels of one kind, each bound to its message or page: a copy elsewhere does not open.

    May be used from any thread. Its repr does not show the key.
    """

    def __init__(self, key: SealingKey, kind: str) -> None:
        self._key = key
        self._kind = kind
        self._opened: dict[str, tuple[str, str]] = {}  # stored text -> subject and label

    def seal(self, label: str, subject: str) -> str:
        """Return the text to store for a label of a message or page with the id `subject`. An empty one stays empty."""
        if not label:
            return ""
        return SEALED_LABEL + b2a_base64(self._key.seal(label.encode(), self._context(subject)), newline=False).decode()

    def open(self, stored: str, subject: str) -> str:
        """Return the label that was sealed for this subject.

        Text that was not sealed for it is returned unchanged: a label that an earlier release stored in the clear, also
        one that starts with the prefix, or an error text of the platform.
        """
        found = self._opened.get(stored)
        if found is not None and found[0] == subject:
            return found[1]
        return self._open(stored, subject) if is_sealed_label(stored) else stored

    def matches(self, label: str, stored: str, subject: str) -> bool:
        """Return whether the stored text is this label, sealed. Then the label need not be sealed again."""
        return is_sealed_label(stored) and self.open(stored, subject) == label

    def _open(self, stored: str, subject: str) -> str:
        try:
            label = self._key.open(a2b_base64(stored[len(SEALED_LABEL) :]), self._context(subject)).decode()
        except (InvalidTag, NotBase64, ValueError):  # ValueError: other characters than ASCII, or too few bytes
            return stored
        if len(self._opened) >= CACHED_LABELS:
            self._opened.clear()  # the next list fills it again; to evict the least recently used would slow every hit
        self._opened[stored] = (subject, label)
        return label

    def _context(self, subject: str) -> str:
        return f"{self._kind}/{subject}"


class Labels:
    """All kinds of labels. Its repr does not show the key."""

    def __init__(self, key: SealingKey) -> None:
        self.titles = LabelKind(key, "title")  # of messages
        self.resend_reasons = LabelKind(key, "resend reason")  # of messages
        self.page_names = LabelKind(key, "page name")
        self.hold_reasons = LabelKind(key, "hold reason")  # of pages

    def open_event(self, event: Event) -> Event:
        """Return the event with its labels opened, as the API returns it."""
        match event:
            case MessageSubmitted():
                return msgspec.structs.replace(event, title=self.titles.open(event.title, event.message_id))
            case RetryRequested():
                reason = self.resend_reasons.open(event.reason, event.message_id)
                return msgspec.structs.replace(event, reason=reason)
            case PageHeld():
                reason = self.hold_reasons.open(event.hold.reason, event.page_id)
                return msgspec.structs.replace(event, hold=msgspec.structs.replace(event.hold, reason=reason))
        return event
