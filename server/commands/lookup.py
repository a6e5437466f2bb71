"""Look-up of the messages and pages that callers name."""

from domain.commands import (
    CancelMessage,
    HoldPage,
    PauseMessage,
    PutPage,
    ReleasePage,
    ResendMessage,
    ResumeMessage,
    SendMessage,
    SharePage,
    TransferPage,
)
from domain.errors import MessageNotFound, PageNotRegistered
from domain.message import Message, fold
from domain.streams import message_stream
from projections import message_rows, pages
from projections.message_rows import MessageFilter, MessageRow
from projections.pages import PageRow
from projections.sql import Sql
from server.eventstore.commit import EventLog

MessageCommand = CancelMessage | PauseMessage | ResendMessage | ResumeMessage
PageCommand = SendMessage | PutPage | HoldPage | ReleasePage | SharePage | TransferPage


def owner_filter(command: MessageCommand | PageCommand) -> str:
    """Return the owner whose messages and pages a command may use, or ANY_OWNER."""
    return command.sees or command.owner


def require_message(sql: Sql, owner: str, message_id: str) -> MessageRow:
    """Return a message of an owner, or of any with ANY_OWNER; raises MessageNotFound, also for one of another owner."""
    row = message_rows.find_owned(sql, owner, message_id)
    if row is None:
        raise MessageNotFound(message_id)
    return row


def require_page(sql: Sql, owner: str, page_id: str) -> PageRow:
    """Return a page that an owner may use; raises PageNotRegistered, also for one that this owner may not use.

    ANY_OWNER may use every page.
    """
    page = pages.find(sql, page_id)
    if page is None or not page.is_open_to(owner):
        raise PageNotRegistered(page_id)
    return page


def require_known_page(sql: Sql, owner: str, page_id: str) -> None:
    """Raise PageNotRegistered unless an owner may use a page or has sent through it; ANY_OWNER may use every page."""
    page = pages.find(sql, page_id)
    if page is not None and page.is_open_to(owner):
        return
    if not message_rows.list_newest(sql, MessageFilter(owner=owner, page_id=page_id), before=None, limit=1):
        raise PageNotRegistered(page_id)


async def load_message(log: EventLog, message_id: str) -> Message:
    """Return a message as its stream says; its life is UNKNOWN if there is no such stream. Raises Unavailable."""
    return fold(message_id, await log.load(message_stream(message_id)))
