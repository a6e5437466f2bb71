"""Takes tokens and message texts out of what the platform says."""

import re
from collections.abc import Iterable

import msgspec

from domain.outcome import Outcome, Sent

MAX_MESSAGE_LENGTH = 500  # characters of the platform's message that are kept
_KEPT_END = 200  # of them from the end of a longer one: the reason for people comes last
_REMOVED = "***"
_SECRET_SHAPES = re.compile(r"EAA[\w-]{17,}|(?<=token=)\[?[^\s\]&\"']+|(?<=proof=)\w+|(?<=Bearer )\S+", re.ASCII)


def redact(outcome: Outcome, secrets: Iterable[str]) -> Outcome:
    """The outcome without any of the secrets, nor anything that looks like a token, in its fault's message."""
    if isinstance(outcome, Sent):
        return outcome
    fault = msgspec.structs.replace(outcome.fault, message=_clean(outcome.fault.message, secrets))
    return msgspec.structs.replace(outcome, fault=fault)


def _clean(text: str, secrets: Iterable[str]) -> str:
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, _REMOVED)
    return _bounded(_SECRET_SHAPES.sub(_REMOVED, text))


def _bounded(text: str) -> str:
    """Return the text, or the beginning and the end of a long one."""
    if len(text) <= MAX_MESSAGE_LENGTH:
        return text
    return f"{text[: MAX_MESSAGE_LENGTH - _KEPT_END - 1]}…{text[-_KEPT_END:]}"
