"""Finding what a caller names."""

from domain.commands import CancelMessage, PauseMessage, ResendMessage, ResumeMessage
from domain.errors import MessageNotFound, PageNotRegistered
from domain.message import Message, fold
from domain.owner import is_meant
from domain.streams import message_stream
from projections import message_rows, pages
from projections.message_rows import MessageRow
from projections.pages import PageRow
from projections.sql import Sql
from server.log.commit import EventLog


def find_message(sql: Sql, owner: str, message_id: str) -> MessageRow:
    """An owner's message, or ANYBODY's; raises MessageNotFound, also for somebody else's."""
    row = message_rows.find(sql, message_id)
    if row is None or not is_meant(row.owner, owner):
        raise MessageNotFound(message_id)
    return row


def reach(command: CancelMessage | PauseMessage | ResendMessage | ResumeMessage) -> str:
    """Whose messages a command may change."""
    return command.sees or command.owner


def find_page(sql: Sql, page_id: str) -> PageRow:
    """A page; raises PageNotRegistered."""
    page = pages.find(sql, page_id)
    if page is None:
        raise PageNotRegistered(page_id)
    return page


async def load_message(log: EventLog, message_id: str) -> Message:
    """A message by its stream; life UNKNOWN when there is none."""
    return fold(message_id, await log.load(message_stream(message_id)))
