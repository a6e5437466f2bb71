"""What a caller may be allowed."""

from enum import StrEnum


class Scope(StrEnum):
    """A part of the service; server/api/scopes.py says which rpc needs which."""

    SEND = "send"
    READ = "read"
    RESEND = "resend"
    SCHEDULE = "schedule"
    PAGES = "pages"
    RECEIPTS = "receipts"
    ADMIN = "admin"
