"""Removes tokens, message texts and recipients' values from the platform's errors, before they are recorded or shown.

The platform may quote a message with other characters, spaces or escapes (JSON, URL, HTML, also twice). So both sides
are compared in one normalized form, and each match is removed from the original text.
"""

import html
import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote

import msgspec

from domain.outcome import Outcome, Sent
from domain.visible_text import one_line

MAX_MESSAGE_LENGTH = 500  # characters of an error message that are kept
RUN = 8  # consecutive characters of a message text that are removed wherever an error holds them
SHORTEST_TEXT = 4  # characters; a shorter text reveals nothing, and its removal would make errors unreadable
SHORTEST_VALUE = 3  # characters of a name or a variable's value
_KEPT_END = 200  # of them from the end of a longer message: the text for users comes last
_READ = 4_096  # characters of an error message that are read, half of them from its end
_REMOVED = "***"
_SHORT = 8  # characters; a shorter value is removed only as a whole word: `Ann` is not removed from `cannot`
_ORDINARY = 24  # characters; a longer run is never taken for the platform's own words
_SECRET_SHAPES = re.compile(r"EAA[\w-]{17,}|(?<=token=)\[?[^\s\]&\"']+|(?<=proof=)\w+|(?<=Bearer )\S+", re.ASCII)
_CODE = re.compile(r"\(#[0-9]{1,10}\)|")  # the start of an error message
_INDEXED = 200_000  # characters of texts up to which all runs are kept in a set: that takes some milliseconds
_LEVELS = 3  # of nested escapes
_ESCAPES = re.compile(
    r"(?:\\u[0-9a-fA-F]{4})+|\\x[0-9a-fA-F]{2}|\\[\"'\\/bfnrt]|(?:%[0-9a-fA-F]{2})+"
    r"|&(?:\#[0-9]{1,7}|\#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,30});"
)
_SPACES = re.compile(r"[ +]+")
_WORDS = re.compile(r"[^\W\d_]+")


class _Piece(NamedTuple):
    """A character in normalized form, and its place in the original text: from `start` up to `end`."""

    character: str
    start: int
    end: int


class Redaction:
    """Removes private values from errors about some messages; `people` are their recipients' names and variables."""

    def __init__(
        self, secrets: Iterable[str], texts: Iterable[str] = (), people: Iterable[Mapping[str, str]] = ()
    ) -> None:
        self._secrets = sorted(filter(None, {one_line(secret) for secret in secrets}), key=len, reverse=True)
        long = dict.fromkeys([*(text for text in texts if len(text) >= SHORTEST_TEXT), *self._secrets])
        self._values = [(value, _normalized(value).strip()) for value in dict.fromkeys([*long, *_values(people)])]
        self._runs = _Runs([normalized for _, normalized in self._values[: len(long)]])
        self._cleaned: dict[str, str] = {}  # cache: the parts of a batch often have the same error

    def outcome(self, outcome: Outcome) -> Outcome:
        """Return the outcome with a cleaned error message."""
        if isinstance(outcome, Sent):
            return outcome
        fault = msgspec.structs.replace(outcome.fault, message=self.text(outcome.fault.message))
        return msgspec.structs.replace(outcome, fault=fault)

    def text(self, text: str) -> str:
        """Return an error text that can be recorded: one line of limited length, without private values."""
        if text not in self._cleaned:
            self._cleaned[text] = self._clean(one_line(_read(text)))
        return self._cleaned[text]

    def _clean(self, text: str) -> str:
        text = self._without_quotes(text)
        for secret in self._secrets:
            text = text.replace(secret, _REMOVED)
        return _bounded(_SECRET_SHAPES.sub(_REMOVED, text))

    def _without_quotes(self, text: str) -> str:
        normalized = _normalized(text)
        values = [(value, wanted) for value, wanted in self._values if wanted and wanted in normalized]
        runs = list(self._runs.find_in(normalized))
        if not values and not runs:
            return text
        pieces = _pieces(text)
        places = (span for value, wanted in values for span in _places(text, pieces, normalized, value, wanted))
        spans = [*runs, *places]
        code = _CODE.match(text)
        return _cut(
            text, [(pieces[start].start, pieces[end - 1].end) for start, end in spans], code.end() if code else 0
        )


class _Runs:
    """All runs of RUN consecutive characters of some texts, in normalized form."""

    def __init__(self, texts: Sequence[str]) -> None:
        together = "\n".join(texts)
        self._known: Collection[str] = together
        if len(together) <= _INDEXED:
            self._known = {text[place : place + RUN] for text in texts for place in range(len(text) - RUN + 1)}

    def find_in(self, normalized: str) -> Iterator[tuple[int, int]]:
        """Yield the spans of an error that consist of such runs; overlapping ones as one span."""
        start = end = -1
        for place in range(len(normalized) - RUN + 1):
            if normalized[place : place + RUN] not in self._known:
                continue
            if place > end:
                if end > start and not _is_ordinary(normalized[start:end]):
                    yield start, end
                start = place
            end = place + RUN
        if end > start and not _is_ordinary(normalized[start:end]):
            yield start, end


def _places(text: str, pieces: Sequence[_Piece], normalized: str, value: str, wanted: str) -> Iterator[tuple[int, int]]:
    """Yield the spans of an error that hold a value."""
    place = normalized.find(wanted)
    while place >= 0:
        end = place + len(wanted)
        as_written = text[pieces[place].start : pieces[end - 1].end]
        if _is_word(normalized, place, end) and not _is_platform_word(wanted, value, as_written):
            yield place, end
        place = normalized.find(wanted, place + 1)


def redact(outcome: Outcome, secrets: Iterable[str]) -> Outcome:
    """Return the outcome without secrets, and without anything that looks like a token, in its error message."""
    return Redaction(secrets).outcome(outcome)


def _values(people: Iterable[Mapping[str, str]]) -> Collection[str]:
    """Return the recipients' values, and each word of their names."""
    values: set[str] = set()
    for person in people:
        values.update(person.values())
        values.update(person.get("name", "").split())
    return {value.strip() for value in values if len(value.strip()) >= SHORTEST_VALUE}


def _is_word(normalized: str, start: int, end: int) -> bool:
    """Return whether a short value is a whole word; always true for scripts without spaces between words."""
    if end - start >= _SHORT or not normalized[start:end].isascii():
        return True
    before, after = normalized[start - 1 : start] if start else "", normalized[end : end + 1]
    continues_before = before.isalnum() and normalized[start].isalnum()
    continues_after = after.isalnum() and normalized[end - 1].isalnum()
    return not continues_before and not continues_after


def _is_platform_word(wanted: str, value: str, as_written: str) -> bool:
    """Return whether a match is a word of the platform that is also a value, such as `Will`, which may be a name."""
    if wanted not in PLATFORM_WORDS:
        return False
    return value.islower() or as_written != value


def _is_ordinary(run: str) -> bool:
    """Return whether a run holds only words of the platform; the first and last may be cut off."""
    if len(run) > _ORDINARY or any(map(str.isdecimal, run)) or not run.isascii():
        return False
    words = _WORDS.findall(run)
    is_cut_before, is_cut_after = run[0].isalpha(), run[-1].isalpha()
    return all(
        _is_platform_word_or_part(
            word, cut_before=is_cut_before and place == 0, cut_after=is_cut_after and place == len(words) - 1
        )
        for place, word in enumerate(words)
    )


@lru_cache(maxsize=4_096)
def _is_platform_word_or_part(part: str, *, cut_before: bool, cut_after: bool) -> bool:
    if cut_before and cut_after:
        return any(part in word for word in PLATFORM_WORDS)
    if cut_before:
        return any(word.endswith(part) for word in PLATFORM_WORDS)
    if cut_after:
        return any(word.startswith(part) for word in PLATFORM_WORDS)
    return part in PLATFORM_WORDS


def _cut(text: str, spans: Iterable[tuple[int, int]], first: int) -> str:
    """Return the text with a mark for each span, one mark for adjacent spans; text before `first` stays."""
    kept, place, was_cut = text[:first], first, False
    for start, end in sorted(spans):
        if end <= place:
            continue
        if start > place or not was_cut:
            kept += text[place:start] + _REMOVED
        place, was_cut = end, True
    return kept + text[place:]


def _normalized(text: str) -> str:
    """Return the normalized form: unescaped, in lower case, without accents, with single spaces."""
    for _ in range(_LEVELS):
        if _ESCAPES.search(text) is None:
            break
        text = _ESCAPES.sub(lambda found: _unescape(found[0]), text)
    text = text.lower() if text.isascii() and text.isprintable() else "".join(map(_normalized_character, text))
    return _SPACES.sub(" ", text)


def _pieces(text: str) -> Sequence[_Piece]:
    """Return the normalized form of a text character by character, each with its place in the text."""
    pieces = [_Piece(character, place, place + 1) for place, character in enumerate(text)]
    for _ in range(_LEVELS):
        escaped = "".join(piece.character for piece in pieces)
        if _ESCAPES.search(escaped) is None:
            break
        pieces = list(_unescaped(escaped, pieces))
    return list(_normalized_pieces(pieces))


def _unescaped(escaped: str, pieces: Sequence[_Piece]) -> Iterator[_Piece]:
    place = 0
    for found in _ESCAPES.finditer(escaped):
        yield from pieces[place : found.start()]
        place = found.end()
        start, end = pieces[found.start()].start, pieces[place - 1].end
        yield from (_Piece(character, start, end) for character in _unescape(found[0]))
    yield from pieces[place:]


def _unescape(escape: str) -> str:
    if escape[0] == "%":
        return unquote(escape)
    if escape[0] == "&":
        return html.unescape(escape)
    if escape[1] == "u":
        return bytes.fromhex(escape.replace("\\u", "")).decode("utf-16-be", "replace")
    if escape[1] == "x":
        return bytes.fromhex(escape[2:]).decode("latin-1")
    return " " if escape[1] in "bfnrt" else escape[1]


def _normalized_pieces(pieces: Iterable[_Piece]) -> Iterator[_Piece]:
    was_space = False
    for piece in pieces:
        form = _normalized_character(piece.character)
        if form == " ":
            if not was_space:
                yield piece._replace(character=" ")
            was_space = True
            continue
        for character in form:
            yield piece._replace(character=character)
            was_space = False


@lru_cache(maxsize=8_192)
def _normalized_character(character: str) -> str:
    """Return the normalized form of a character; empty for accents and invisible characters."""
    if character == "+" or character.isspace():
        return " "
    plain = "".join(one for one in unicodedata.normalize("NFKD", one_line(character)) if not unicodedata.combining(one))
    return plain.casefold().replace(" ", "")


def _read(text: str) -> str:
    return text if len(text) <= _READ else f"{text[: _READ // 2]}…{text[-_READ // 2 :]}"


def _bounded(text: str) -> str:
    """Return the text, or the start and the end of a long one."""
    if len(text) <= MAX_MESSAGE_LENGTH:
        return text
    return f"{text[: MAX_MESSAGE_LENGTH - _KEPT_END - 1]}…{text[-_KEPT_END:]}"


# Words of the platform's own errors: an error that shares only such words with a message's text does not quote it.
# Source: the errors in tests/data/graph_api_errors.json, and the platform's documentation of its errors.
_PLATFORM_WORDS = """
a able about accept accepted access accessed accessing account action active again alias aliases
all allow allowed already an and any api app application apps are argument as at attachment authenticate authorization
authorized available be because been before blocked business but button buttons by call calls can cannot changed
character characters check click code comment content control could current data date deleted developer developers did
disabled do documentation does due duplicate either element elements empty error errors exceeded exist exists expected
expired expires facebook failed failure feature field fields file first following for format found from get
granted graph has have header here hour hours id ids if image in info information installed internal invalid
invalidated is isn it its json learn length less limit limited limiting link list live loaded logged login long longer
made make many match matched matching maximum may media message messages messaging messenger metadata method minute
minutes missing mode more must need new no node non none not number oauth object occurred of off old on one only
operation or other out outside page pages param parameter parameters password payload per permission permissions
person phone platform please policies policy post problem product proof property provided public quick rate reached
read reason reasons received receiving recently recipient recipients refused removed replies reply request requested
requests require required requires response retry review reviewed secret security seems send sender sending sent
server service session set should show size some something specified standard state status store string subscribed
subscription subscriptions such support supported system tag team template temporarily temporary testers text than
that the their there this thread time title to token too tos total tried try type unable unavailable unexpected
unknown unread unsupported until upload uploading url usage use used user users utility valid validating validation
value values version video violations wait was way web were what whatsapp when which who will window with within
without wrong you your
"""
PLATFORM_WORDS = frozenset(_PLATFORM_WORDS.split())
