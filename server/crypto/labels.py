"""Titles, page names and reasons: sealed as text, in the fields and columns where releases before kept them clear.

One key seals all of them (server_keys.py keeps it), so that a list of 1,000 messages needs one key, not 1,000. A title
has to be readable after a cleanup and after an erasure, so that no shorter-lived key would be of use.

To open a label takes 1 to 4 microseconds, a tenth of what a message in a list takes; so labels that were opened lately
are remembered (0.2 microseconds and more). docs/decisions/034-sealed-labels.md has the measurements.
"""

from binascii import Error as NotBase64
from binascii import a2b_base64, b2a_base64

import msgspec
from cryptography.exceptions import InvalidTag

from domain.event import Event
from domain.message_events import MessageSubmitted, RetryRequested
from domain.page_events import PageHeld
from server.crypto.key_ring import SealingKey

SEALED = "sealed:v1:"  # begins every sealed label; the rest is base64
REMEMBERED = 8_192  # labels of each kind: eight full pages of a list, 4 MB; 20 MB if all are the longest there may be


def is_sealed(kept: str) -> bool:
    """Return whether a label has the form of a sealed one."""
    return kept.startswith(SEALED)


class LabelKind:
    """Seals and opens one kind of labels, each bound to its message or page: a copy elsewhere does not open.

    For any thread; its repr shows nothing.
    """

    def __init__(self, key: SealingKey, kind: str) -> None:
        self._key = key
        self._kind = kind
        self._opened: dict[str, tuple[str, str]] = {}  # the subject and the label, by how it is kept

    def seal(self, label: str, subject: str) -> str:
        """Return the label as it is kept; `subject` is the id of its message or page. An empty one stays empty."""
        if not label:
            return ""
        return SEALED + b2a_base64(self._key.seal(label.encode(), self._context(subject)), newline=False).decode()

    def open(self, kept: str, subject: str) -> str:
        """Return the label that was sealed for this subject.

        Text that no such seal made is returned as it is: a label that a release before kept clear, whatever its first
        characters are, or an error of the platform.
        """
        found = self._opened.get(kept)
        if found is not None and found[0] == subject:
            return found[1]
        return self._open(kept, subject) if kept.startswith(SEALED) else kept

    def keeps(self, label: str, kept: str, subject: str) -> bool:
        """Return whether this label is what is kept, and sealed: then it need not be sealed again."""
        return is_sealed(kept) and self.open(kept, subject) == label

    def _open(self, kept: str, subject: str) -> str:
        try:
            label = self._key.open(a2b_base64(kept[len(SEALED) :]), self._context(subject)).decode()
        except (InvalidTag, NotBase64, ValueError):  # ValueError: other characters than ASCII, or too few bytes
            return kept
        if len(self._opened) >= REMEMBERED:
            self._opened.clear()  # what is of use comes back with the next list; an order of use would cost each look
        self._opened[kept] = (subject, label)
        return label

    def _context(self, subject: str) -> str:
        return f"{self._kind}/{subject}"


class Labels:
    """All kinds of labels; its repr shows nothing."""

    def __init__(self, key: SealingKey) -> None:
        self.titles = LabelKind(key, "title")  # of messages
        self.resend_reasons = LabelKind(key, "resend reason")  # of messages
        self.page_names = LabelKind(key, "page name")
        self.hold_reasons = LabelKind(key, "hold reason")  # of pages

    def shown(self, event: Event) -> Event:
        """Return the event with its labels opened, as readers of the log see it."""
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
