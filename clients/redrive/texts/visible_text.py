"""Removal of characters that are invisible but change what is displayed, from texts of outside sources.

A terminal obeys control characters (C0, DEL, C1). Bidirectional controls change the order in which a text is displayed.
Invisible characters hide inside words.

A deliberate twin of the module in `domain`: neither package may import the other. `tests/test_twins.py` compares them.
"""

import re

# Unicode's Default_Ignorable_Code_Point without variation selectors, which emoji need; U+FEFF; annotation marks;
# lone surrogates.
_INVISIBLE = (
    r"\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164\ufeff"
    r"\uffa0\ufff0-\ufffb\ud800-\udfff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
)
_JOINERS = r"\u200c\u200d\U000e0000-\U000e007f"  # used inside Persian words and inside emoji
_CONTROLS = r"\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f"
_LINE_ENDS = r"\n\v\f\r\x85\u2028\u2029"
_HARMFUL = re.compile(f"[{_CONTROLS}{_INVISIBLE}]")
_HIDDEN = re.compile(f"[{_CONTROLS}{_INVISIBLE}{_JOINERS}]")
_SPACES = re.compile(f"[\t{_LINE_ENDS}]+")
_ONE_LINE_END = re.compile("\r\n|[\v\f\r\x85\u2028\u2029]")


def one_line(text: str) -> str:
    """Return the text without any invisible characters; tabs and line ends become one space."""
    if text.isascii() and text.isprintable():
        return text
    return _HIDDEN.sub("", _SPACES.sub(" ", text))


def shown(text: str) -> str:
    """Return the text for one line of a screen; the joiners of Persian words and of emoji stay."""
    if text.isascii() and text.isprintable():
        return text
    return _HARMFUL.sub("", _SPACES.sub(" ", text))


def shown_lines(text: str) -> str:
    """Return the text for a screen or a file; tabs stay, and every line end becomes a line feed."""
    if text.isascii() and text.isprintable():
        return text
    return _HARMFUL.sub("", _ONE_LINE_END.sub("\n", text))


def escaped_json(document: str) -> str:
    r"""Return a JSON document with such characters of its strings escaped as \uXXXX; its value stays the same."""
    return document if document.isascii() and "\x7f" not in document else _IN_JSON.sub(_escape, document)


_IN_JSON = re.compile(f"[\x7f-\x9f\u2028\u2029{_INVISIBLE}]")


def _escape(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[place]:02x}{units[place + 1]:02x}" for place in range(0, len(units), 2))
