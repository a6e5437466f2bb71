"""An uploaded file of recipients: what stands in it, and whether a text fits all of them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from weakref import finalize

from redrive.cli.message_text import filled_in, is_blank, lacks, required_by, variables_of
from redrive.recipients_csv import RecipientsCsv
from redrive.v1.content_pb2 import Recipient

PREVIEWED = 500  # recipients whose texts can be stepped through; the longest text is always among what is shown
TOLD = 10  # findings of one kind that are told by line
MAX_TEXT = 2_000  # characters after filling in: the platform's limit
MAX_ADDRESS = 2_048  # of an attachment's address


@dataclass
class Findings:
    """Findings of one kind: how many, and the first few with their lines."""

    count: int = 0
    first: list[tuple[int, str]] = field(default_factory=list)

    def add(self, line: int, words: str) -> None:
        """One more."""
        self.count += 1
        if len(self.first) < TOLD:
            self.first.append((line, words))


@dataclass
class TextCheck:
    """What a text, or the address of an attachment, comes to with every recipient's variables.

    `no_column` are variables without a default that the file does not have, `lacking` empty cells for which there is no
    default, `defaults` those for which there is one, `blank` recipients for whom nothing is left of the text.
    """

    limit: int = MAX_TEXT
    no_column: list[str] = field(default_factory=list)
    too_long: Findings = field(default_factory=Findings)
    lacking: Findings = field(default_factory=Findings)
    defaults: Findings = field(default_factory=Findings)
    blank: Findings = field(default_factory=Findings)
    longest: Recipient | None = None


class RecipientFile:
    """A file that was checked by line, and that is gone with this object.

    Raises BadCsv (`redrive.recipients_csv`) for one that cannot be sent.
    """

    def __init__(self, path: Path) -> None:
        finalize(self, path.unlink, missing_ok=True)
        self.people = RecipientsCsv(path)
        count, first = self.people.repeated_ids(TOLD)
        shown = [(again.line, f"{again.recipient_id} is in line {again.first_line} already") for again in first]
        self.duplicates = Findings(count, shown)
        self.first = list(islice(_once(self.people), PREVIEWED))

    def __len__(self) -> int:
        """Recipients, each once."""
        return len(self.people) - self.duplicates.count

    def check(self, text: str, limit: int = MAX_TEXT) -> TextCheck:
        """Return what the text comes to for every recipient; about a second for each 300,000."""
        asked, required = variables_of(text), required_by(text)
        check = TextCheck(limit, no_column=[name for name in required if name not in self.people.variables])
        if check.no_column or not asked:
            check.longest = self.first[0]
            if len(text) > limit and not asked:
                check.too_long.count = len(self)
            return check
        longest = -1
        for line, recipient in self.people.numbered():
            filled = filled_in(text, recipient)
            if len(filled) > longest:
                longest, check.longest = len(filled), recipient
            _check_filled(check, line, filled)
            for name in asked:
                if lacks(recipient, name):
                    (check.lacking if name in required else check.defaults).add(line, f"{name} is empty")
        return check


def _check_filled(check: TextCheck, line: int, filled: str) -> None:
    if len(filled) > check.limit:
        check.too_long.add(line, _too_long(len(filled), check.limit))
    if is_blank(filled):
        check.blank.add(line, "nothing is left of the text")


def _once(people: RecipientsCsv) -> Iterator[Recipient]:
    seen: set[str] = set()
    for recipient in people:
        if recipient.id not in seen:
            seen.add(recipient.id)
            yield recipient


def _too_long(length: int, limit: int) -> str:
    return f"the text has {length:,} characters, and at most {limit:,} are allowed"
