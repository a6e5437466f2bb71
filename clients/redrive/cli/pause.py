"""`redrive pause` and `redrive resume`: holds a message back, and lets it go on."""

from redrive.cli.command import Session
from redrive.cli.messages import MessageId, render_message


async def pause_message(session: Session, message_id: MessageId) -> None:
    """Holds a message back: nothing more of it leaves, and no automatic retry starts, until it is resumed."""
    session.output.show(await session.client.pause_message(message_id), render_message)


async def resume_message(session: Session, message_id: MessageId) -> None:
    """Let a paused message go on where it was; also ends the suspension of automatic rounds by a canary that failed."""
    session.output.show(await session.client.resume_message(message_id), render_message)
