"""The rules of the requests about pages."""

from typing import Annotated

from pydantic import AfterValidator, Field

from redrive.v1.page_pb2 import SendMode
from server.api.rules.broken_rule import broken_rule
from server.api.rules.field_kinds import (
    LINES,
    ONE_LINE,
    CallerName,
    MessagesPerSecond,
    PageId,
    PageSize,
    RequestId,
    SharedWith,
    known,
    up_to,
)
from server.api.rules.rule_set import Rules
from server.secret_text import impossible_characters

MOST_SHARED = 100  # callers that a page is shared with


def _possible(secret: str) -> str:
    """Refuse what no header can carry here: the platform would be blamed for it. Nothing is trimmed."""
    if problem := impossible_characters(secret):
        raise broken_rule(problem)
    return secret


class PutPageRules(Rules):
    """PutPage."""

    page_id: PageId
    name: Annotated[str, up_to(200, ONE_LINE)] = ""
    access_token: Annotated[str, Field(max_length=2000), AfterValidator(_possible)] = ""
    app_secret: Annotated[str, Field(max_length=200), AfterValidator(_possible)] = ""
    messages_per_second: MessagesPerSecond = 0.0
    send_mode: Annotated[int, known(SendMode.DESCRIPTOR)] = 0
    request_id: RequestId = ""


class ListPagesRules(Rules):
    """ListPages."""

    page_size: PageSize = 0


class HoldPageRules(Rules):
    """HoldPage."""

    page_id: PageId
    reason: Annotated[str, up_to(200, LINES)] = ""
    request_id: RequestId = ""


class ReleasePageRules(Rules):
    """ReleasePage."""

    page_id: PageId
    request_id: RequestId = ""


class SharePageRules(Rules):
    """SharePage."""

    page_id: PageId
    shared_with: Annotated[list[SharedWith], Field(default_factory=list, max_length=MOST_SHARED)]
    request_id: RequestId = ""


class TransferPageRules(Rules):
    """TransferPage."""

    page_id: PageId
    owner: CallerName
    request_id: RequestId = ""
