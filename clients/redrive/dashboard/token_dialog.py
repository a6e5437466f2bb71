"""Replaces a page's token, which is typed here and stands nowhere afterwards."""

import uuid

from redrive.dashboard.elements import Tag
from redrive.dashboard.entries import entry
from redrive.dashboard.form_dialog import FormDialog, Then
from redrive.dashboard.frame import Frame
from redrive.v1.page_service_pb2 import PutPageRequest


class TokenDialog:
    """`replaced` is called after the platform accepted the new token."""

    def __init__(self, frame: Frame, replaced: Then) -> None:
        self._frame = frame
        self._form = FormDialog(frame)
        self._replaced = replaced
        self._wanted = PutPageRequest()

    def open(self, page_id: str, then: str) -> None:
        """Asks for the new token of a page; `then` says what follows."""
        self._wanted = PutPageRequest(page_id=page_id)
        with self._form.opened("Replace the page's token", "Replace the token", self._put, self._replaced):
            Tag("p", f"The platform is asked whether it accepts the new token of page {page_id}. {then}")
            entry("New page token", self._note, kind="password", required=True, spellcheck="false", autofocus=True)

    def _note(self, token: str) -> None:
        self._wanted.access_token = token.strip()

    async def _put(self) -> bool:
        self._wanted.request_id = str(uuid.uuid4())
        answer = await self._form.attempt(self._frame.client.put_page(self._wanted))
        if answer is None:
            return False
        self._wanted.Clear()
        self._frame.say(" ".join(["The token is replaced.", *answer.warnings]))
        return True
