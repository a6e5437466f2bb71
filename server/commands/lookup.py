"""Finding what a caller names."""

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


def find_message(sql: Sql, owner: str, message_id: str) -> MessageRow:
    """An owner's message, or ANY_OWNER's; raises MessageNotFound, also for somebody else's."""
    row = message_rows.find_owned(sql, owner, message_id)
    if row is None:
        raise MessageNotFound(message_id)
    return row


OfMessage = CancelMessage | PauseMessage | ResendMessage | ResumeMessage
OfPage = SendMessage | PutPage | HoldPage | ReleasePage | SharePage | TransferPage


def reach(command: OfMessage | OfPage) -> str:
    """Whose messages a command may change, and whose pages it may use."""
    return command.sees or command.owner


def find_page(sql: Sql, owner: str, page_id: str) -> PageRow:
    """A page that an owner, or ANY_OWNER, may use; raises PageNotRegistered, also for a page of another caller."""
    page = pages.find(sql, page_id)
    if page is None or not page.is_open_to(owner):
        raise PageNotRegistered(page_id)
    return page


def check_page_is_known(sql: Sql, owner: str, page_id: str) -> None:
    """Raise PageNotRegistered unless an owner, or ANY_OWNER, may use a page, or has sent through it."""
    page = pages.find(sql, page_id)
    if page is not None and page.is_open_to(owner):
        return
    if not message_rows.list_newest(sql, MessageFilter(owner=owner, page_id=page_id), before=None, limit=1):
        raise PageNotRegistered(page_id)


async def load_message(log: EventLog, message_id: str) -> Message:
    """A message by its stream; life UNKNOWN when there is none."""
    return fold(message_id, await log.load(message_stream(message_id)))
