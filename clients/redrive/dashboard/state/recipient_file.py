"""An uploaded file of recipients, and checks of a text against all of them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from weakref import finalize

from redrive.recipients_csv import RecipientsCsv
from redrive.texts.message_text import filled_in, is_blank, lacks, required_by, variables_of
from redrive.v1.content_pb2 import Recipient

PREVIEW_RECIPIENTS = 500  # recipients whose texts can be previewed; the longest text always can
LISTED = 10  # findings of one kind that are listed by line
MAX_TEXT = 2_000  # characters after filling in; the platform's limit
MAX_URL = 2_048  # characters of an attachment's URL


@dataclass
class LineFindings:
    """Findings of one kind: their number, and the first few with their lines."""

    count: int = 0
    first: list[tuple[int, str]] = field(default_factory=list)

    def add(self, line: int, description: str) -> None:
        """Add a finding."""
        self.count += 1
        if len(self.first) < LISTED:
            self.first.append((line, description))


@dataclass
class TextCheck:
    """The check of a text, or of an attachment's URL, with the variables of all recipients.

    `no_column` are variables without a default and without a column, `lacking` empty cells without a default,
    `defaults` empty cells with one, `blank` recipients whose text is empty.
    """

    limit: int = MAX_TEXT
    no_column: list[str] = field(default_factory=list)
    too_long: LineFindings = field(default_factory=LineFindings)
    lacking: LineFindings = field(default_factory=LineFindings)
    defaults: LineFindings = field(default_factory=LineFindings)
    blank: LineFindings = field(default_factory=LineFindings)
    longest: Recipient | None = None


class RecipientFile:
    """A checked file, which is deleted with this object.

    Raises BadCsv (`redrive.recipients_csv`) if the file cannot be sent.
    """

    def __init__(self, path: Path) -> None:
        finalize(self, path.unlink, missing_ok=True)
        self.csv = RecipientsCsv(path)
        count, first = self.csv.repeated_ids(LISTED)
        shown = [(again.line, f"{again.recipient_id} is already in line {again.first_line}") for again in first]
        self.duplicates = LineFindings(count, shown)
        self.first = list(islice(_once(self.csv), PREVIEW_RECIPIENTS))

    def __len__(self) -> int:
        """The number of recipients, without duplicates."""
        return len(self.csv) - self.duplicates.count

    def check(self, text: str, limit: int = MAX_TEXT) -> TextCheck:
        """Check the text for all recipients; takes about a second for each 300,000."""
        asked, required = variables_of(text), required_by(text)
        check = TextCheck(limit, no_column=[name for name in required if name not in self.csv.variables])
        if check.no_column or not asked:
            check.longest = self.first[0]
            if len(text) > limit and not asked:
                check.too_long.count = len(self)
            return check
        longest = -1
        for line, recipient in self.csv.numbered():
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
        check.blank.add(line, "the text is empty")


def _once(csv: RecipientsCsv) -> Iterator[Recipient]:
    seen: set[str] = set()
    for recipient in csv:
        if recipient.id not in seen:
            seen.add(recipient.id)
            yield recipient


def _too_long(length: int, limit: int) -> str:
    return f"the text has {length:,} characters; at most {limit:,} are allowed"
