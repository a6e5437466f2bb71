"""Findings of `redrive-server doctor`."""

from enum import StrEnum

import msgspec


class Severity(StrEnum):
    """PROBLEM: the server cannot start or work. WARNING: an operator should check it."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one check, and what to do about it; in JSON the fields are `words` and `mend`."""

    check: str
    severity: Severity
    message: str = msgspec.field(name="words")
    remedy: str = msgspec.field(name="mend", default="")


def ok(check: str, message: str) -> Finding:
    """Return a check that passed."""
    return Finding(check=check, severity=Severity.OK, message=message)


def warning(check: str, message: str, remedy: str) -> Finding:
    """Return something that an operator should check."""
    return Finding(check=check, severity=Severity.WARNING, message=message, remedy=remedy)


def problem(check: str, message: str, remedy: str) -> Finding:
    """Return something that keeps the server from starting or working."""
    return Finding(check=check, severity=Severity.PROBLEM, message=message, remedy=remedy)
