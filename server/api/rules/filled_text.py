"""Texts with each recipient's variables filled in: too long, or lacking one.

A text is measured once, so that ten thousand recipients take milliseconds: filling it in for each takes up to 0.4 s.
"""

from collections import Counter
from collections.abc import Sequence

from domain.content import MAX_TEXT_LENGTH, fill_in, text_problem
from domain.errors import Violation
from domain.recipient import Recipient

LONGEST_RAW_TEXT = 10_000  # characters; twice what 2,000 characters and the names of all variables can take up


class _Blanks(dict[str, str]):
    """Empty variables that count how often each is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.times: Counter[str] = Counter()

    def __missing__(self, name: str) -> str:
        self.times[name] += 1
        return ""


class FilledText:
    """A text, measured once for everybody."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._blanks = _Blanks()
        self._is_measured = len(text) <= LONGEST_RAW_TEXT
        self._fixed_length = len(fill_in(text, self._blanks)) if self._is_measured else len(text)

    def problem(self) -> str | None:
        """Why nobody can be sent it: what stands around its variables is too long already."""
        if self._fixed_length <= MAX_TEXT_LENGTH:
            return None
        counted = "without its variables" if self._is_measured else "before its variables are filled in"
        return f"must have at most {MAX_TEXT_LENGTH:,} characters, has {self._fixed_length:,} {counted}"

    def violations(self, recipients: Sequence[Recipient], *, first: int = 0) -> list[Violation]:
        """What is wrong with each recipient who cannot be sent it; they are counted from `first`.

        For a text without a problem of its own.
        """
        if not self._blanks.times:
            return []  # the same text for everybody, which has no problem
        return [
            Violation(f"recipients[{index}].variables", problem.words)
            for index, recipient in enumerate(recipients, first)
            if not self._fits(recipient) and (problem := text_problem(self._text, recipient)) is not None
        ]

    def _fits(self, recipient: Recipient) -> bool:
        fillings = recipient.fillings()
        length = self._fixed_length
        for name, times in self._blanks.times.items():
            if (filling := fillings.get(name)) is None:
                return False
            length += times * len(filling)
        return length <= MAX_TEXT_LENGTH
