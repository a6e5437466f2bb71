"""`redrive cancel`: stops a message."""

from redrive.cli.command import Session
from redrive.cli.messages import MessageId, render_message


async def cancel_message(session: Session, message_id: MessageId) -> None:
    """Stops a message for good: what has not left is cancelled, what has left is not recalled."""
    session.output.show(await session.client.cancel_message(message_id), render_message)
