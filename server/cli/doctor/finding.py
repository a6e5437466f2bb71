"""What the doctor found."""

from enum import StrEnum

import msgspec


class Severity(StrEnum):
    """PROBLEM: the service does not start, or does not work. WARNING: somebody should look at it."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at, in words; `mend` says what to do about it."""

    check: str
    severity: Severity
    words: str
    mend: str = ""


def ok(check: str, words: str) -> Finding:
    """All is well."""
    return Finding(check=check, severity=Severity.OK, words=words)


def warning(check: str, words: str, mend: str) -> Finding:
    """Somebody should look at it."""
    return Finding(check=check, severity=Severity.WARNING, words=words, mend=mend)


def problem(check: str, words: str, mend: str) -> Finding:
    """The service does not start, or does not work."""
    return Finding(check=check, severity=Severity.PROBLEM, words=words, mend=mend)
