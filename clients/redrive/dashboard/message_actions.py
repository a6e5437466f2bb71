"""What can be done with a message as a whole: pause, resume, cancel."""

import uuid
from collections.abc import Awaitable, Callable

from redrive.dashboard.elements import Tag, button
from redrive.dashboard.formats import counted
from redrive.dashboard.frame import Frame
from redrive.v1.message_pb2 import Message, MessageStatus

_OVER = {
    MessageStatus.MESSAGE_STATUS_SENT,
    MessageStatus.MESSAGE_STATUS_PARTIALLY_SENT,
    MessageStatus.MESSAGE_STATUS_FAILED,
    MessageStatus.MESSAGE_STATUS_CANCELLED,
}


class MessageActions:
    """The buttons that the message's state allows, each with a question before it works."""

    def __init__(self, frame: Frame, message_id: str) -> None:
        self._frame = frame
        self._message_id = message_id
        self._open = 0
        with Tag("div", "", "row"):
            self._pause = button("Pause", self._ask_pause, icon_name="pause")
            self._resume = button("Resume", self._do_resume, icon_name="play_arrow", classes="primary")
            self._cancel = button("Cancel", self._ask_cancel, icon_name="cancel", classes="danger")
        for pressed in (self._pause, self._resume, self._cancel):
            pressed.show(when=False)

    def show(self, message: Message) -> None:
        """Show the buttons for the message's state.

        One that waits for a retry by itself can be paused and cancelled too, one whose automatic retries are suspended
        resumed and cancelled.
        """
        self._open = message.counts.pending + message.counts.sending
        is_over = message.status in _OVER and not message.HasField("next_retry_time")
        is_paused = message.status == MessageStatus.MESSAGE_STATUS_PAUSED
        is_suspended = message.automatic_rounds_suspended
        self._pause.show(when=not is_over and not is_paused)
        self._resume.show(when=is_paused or is_suspended)
        self._cancel.show(when=not is_over or is_suspended)

    def _ask_pause(self) -> None:
        text = "Nothing more leaves until you resume it; what is on its way comes to its end."
        self._frame.dialog.ask("Pause this message?", text, "Pause", self._do_pause)

    def _ask_cancel(self) -> None:
        text = (
            f"It stops for good: {counted(self._open, 'recipient')} still open will not get it. "
            "What has left is not recalled, and a cancelled message cannot be resent."
        )
        self._frame.dialog.ask("Cancel this message?", text, "Cancel the message", self._do_cancel, classes="danger")

    async def _do_pause(self) -> None:
        await self._do(self._frame.client.pause_message, "Paused.")

    async def _do_resume(self) -> None:
        await self._do(self._frame.client.resume_message, "It goes on.")

    async def _do_cancel(self) -> None:
        await self._do(self._frame.client.cancel_message, "Cancelled.")

    async def _do(self, call: Callable[..., Awaitable[Message]], done: str) -> None:
        message = await self._frame.attempt(call(self._message_id, request_id=str(uuid.uuid4())))
        if message is not None:
            self._frame.say(done)
            self.show(message)
