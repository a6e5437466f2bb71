"""The forms for a page: register, replace the token, change the rate, hold, share and release."""

from collections.abc import Callable

from redrive.dashboard.pages.form_dialog import FormDialog
from redrive.dashboard.pages.frame import Frame
from redrive.dashboard.state.retry_choice import parse_number
from redrive.dashboard.widgets.elements import Tag, choice
from redrive.dashboard.widgets.inputs import text_input
from redrive.v1.page_pb2 import Page, SendMode
from redrive.v1.page_service_pb2 import PutPageRequest

SEND_MODES = {SendMode.SEND_MODE_SINGLE: "One request per message", SendMode.SEND_MODE_BATCH: "Batches of up to 50"}


class PageForms:
    """Opens one form at a time; a token is forgotten right after it is sent."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._form = FormDialog(frame)
        self._request = PutPageRequest()
        self._rate = ""
        self._reason = ""
        self._callers = ""
        self._owner = ""

    def register(self) -> None:
        """Ask for a page that is not registered yet."""
        self._begin(PutPageRequest())
        with self._form.opened("Register a page", "Register", self._put):
            text_input("Page id on the platform", self._setter("page_id"), required=True, maxlength=64)
            text_input("Name (for display)", self._setter("name"), maxlength=200)
            self._token_fields()
            self._rate_fields(Page())

    def replace_token(self, page: Page) -> None:
        """Ask for another token, which ends a hold that the old one caused."""
        self._begin(PutPageRequest(page_id=page.id))
        with self._form.opened(f"Replace the token of {page.name or page.id}", "Replace the token", self._put):
            Tag("p", "The platform verifies the new token. A hold for the old token then ends automatically.")
            self._token_fields()

    def change_rate(self, page: Page) -> None:
        """Ask for another rate or send mode; the token stays."""
        self._begin(PutPageRequest(page_id=page.id, send_mode=page.send_mode))
        with self._form.opened(f"Change the rate of {page.name or page.id}", "Change the rate", self._put):
            self._rate_fields(page)

    def hold(self, page: Page) -> None:
        """Ask for the reason of a hold, which all users of the page see."""
        self._reason = ""
        with self._form.opened(f"Hold {page.name or page.id}?", "Hold the page", lambda: self._hold(page)):
            Tag("p", "Nothing more of this page is sent until you release it. Pending deliveries stay pending.")
            text_input("Reason, shown with the hold", self._set_reason, maxlength=200, autofocus=True)

    def share(self, page: Page) -> None:
        """Ask for all callers that the page is shared with, and for its owner, which only an admin may change."""
        self._callers, self._owner = " ".join(page.shared_with), page.owner
        with self._form.opened(f"Share {page.name or page.id}", "Save", lambda: self._share(page)):
            Tag("p", "These callers may send through the page, change, hold and release it, within their scopes.")
            text_input("Shared with (names, separated by spaces)", self._set_callers, value=self._callers)
            text_input("Owner (only an admin may change it)", self._set_owner, value=page.owner, maxlength=128)

    def release(self, page: Page) -> None:
        """Ask for confirmation before the page is released."""
        text = "Sending of pending deliveries continues."
        if page.hold.error_code:
            text += " If the cause still exists, the next attempt fails, and the page is put on hold again."
        if page.HasField("pause"):
            text += " The platform asked for the pause: requests before its end may prolong the limit."
        name = page.name or page.id
        self._frame.dialog.confirm(f"Release {name}?", text, "Release the page", lambda: self._release(page))

    def _begin(self, request: PutPageRequest) -> None:
        """Start a request; fields that stay empty keep their present values."""
        self._request, self._rate = request, ""

    def _token_fields(self) -> None:
        token, secret = self._setter("access_token"), self._setter("app_secret")
        text_input("Page token", token, kind="password", required=True, spellcheck="false", maxlength=2_000)
        text_input("App secret (optional)", secret, kind="password", spellcheck="false", maxlength=200)
        Tag("p", "Both are stored encrypted, and never shown again.", "hint")

    def _rate_fields(self, page: Page) -> None:
        self._rate = f"{page.messages_per_second:g}" if page.messages_per_second else ""
        modes = {str(mode): text for mode, text in SEND_MODES.items()}
        mode = page.send_mode or SendMode.SEND_MODE_SINGLE
        label = "Messages per second" if page.id else "Messages per second (empty: the server's default)"
        text_input(label, self._set_rate, value=self._rate, inputmode="decimal")
        choice("Send mode", modes, self._set_mode, value=str(mode))
        Tag(
            "p",
            "The platform accepts at most 300 per second, and may block a page that sends more than about 40 for long.",
            "hint",
        )

    def _setter(self, name: str) -> Callable[[str], None]:
        return lambda value: setattr(self._request, name, value.strip())

    def _set_rate(self, value: str) -> None:
        self._rate = value

    def _set_mode(self, value: str) -> None:
        self._request.send_mode = SendMode.ValueType(int(value))

    def _set_reason(self, value: str) -> None:
        self._reason = value.strip()

    def _set_callers(self, value: str) -> None:
        self._callers = value

    def _set_owner(self, value: str) -> None:
        self._owner = value.strip()

    async def _put(self) -> bool:
        rate = parse_number(self._rate) if self._rate.strip() else 0.0
        if rate is None or rate < 0:
            self._form.errors.show_text("The rate is not a number.", "Enter a number like 10 or 0.5.")
            return False
        self._request.messages_per_second = rate
        response = await self._form.try_call(self._frame.client.put_page(self._request))
        if response is None:
            return False
        self._request.Clear()
        self._frame.announce(" ".join([f"{response.page.name or response.page.id} is saved.", *response.warnings]))
        return True

    async def _hold(self, page: Page) -> bool:
        response = await self._form.try_call(self._frame.client.hold_page(page.id, self._reason))
        if response is None:
            return False
        self._frame.announce(f"{page.name or page.id} is on hold.")
        return True

    async def _share(self, page: Page) -> bool:
        """Save sharing and owner, in the order that works without authentication.

        A caller who gives a page away may not share it afterwards. A page without an owner cannot be shared.
        """
        steps = (self._change_sharing, self._change_owner) if page.owner else (self._change_owner, self._change_sharing)
        for step in steps:
            if not await step(page):
                return False
        self._frame.announce(f"{page.name or page.id} is saved.")
        return True

    async def _change_sharing(self, page: Page) -> bool:
        callers = sorted(set(self._callers.split()))
        if callers == list(page.shared_with):
            return True
        return await self._form.try_call(self._frame.client.share_page(page.id, callers)) is not None

    async def _change_owner(self, page: Page) -> bool:
        if self._owner in ("", page.owner):
            return True
        return await self._form.try_call(self._frame.client.transfer_page(page.id, self._owner)) is not None

    async def _release(self, page: Page) -> None:
        response = await self._frame.try_call(self._frame.client.release_page(page.id))
        if response is not None:
            self._frame.announce(f"{page.name or page.id} is released.")
