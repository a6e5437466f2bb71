"""What can be done to a page: registered, given another token or pace, held and released."""

from collections.abc import Callable

from redrive.dashboard.elements import Tag, choice
from redrive.dashboard.entries import entry
from redrive.dashboard.form_dialog import FormDialog
from redrive.dashboard.frame import Frame
from redrive.dashboard.retry_choice import number_of
from redrive.v1.page_pb2 import Page, SendMode
from redrive.v1.page_service_pb2 import PutPageRequest

SEND_MODES = {SendMode.SEND_MODE_SINGLE: "One request a message", SendMode.SEND_MODE_BATCH: "Batches of up to 50"}


class PageForms:
    """One of them is open at a time; tokens are forgotten as soon as they are sent."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._form = FormDialog(frame)
        self._wanted = PutPageRequest()
        self._pace = ""
        self._reason = ""
        self._callers = ""
        self._owner = ""

    def register(self) -> None:
        """A page that is not known yet."""
        self._begin(PutPageRequest())
        with self._form.opened("Register a page", "Register", self._put):
            entry("Page id, as the platform has it", self._setter("page_id"), required=True, maxlength=64)
            entry("Name, for you", self._setter("name"), maxlength=200)
            self._token_fields()
            self._pace_fields(Page())

    def replace_token(self, page: Page) -> None:
        """Another token; a hold that the old one brought ends."""
        self._begin(PutPageRequest(page_id=page.id))
        with self._form.opened(f"Replace the token of {page.name or page.id}", "Replace the token", self._put):
            Tag("p", "The platform is asked whether it takes the new one. A hold for a dead token ends by itself then.")
            self._token_fields()

    def change_pace(self, page: Page) -> None:
        """Another pace or way of sending; the token stays."""
        self._begin(PutPageRequest(page_id=page.id, send_mode=page.send_mode))
        with self._form.opened(f"Change the pace of {page.name or page.id}", "Change the pace", self._put):
            self._pace_fields(page)

    def hold(self, page: Page) -> None:
        """Asks for the reason, which everybody sees."""
        self._reason = ""
        with self._form.opened(f"Hold {page.name or page.id}?", "Hold the page", lambda: self._hold(page)):
            Tag("p", "Nothing more of this page leaves until it is released. What is pending stays pending.")
            entry("Reason, shown wherever the hold is", self._set_reason, maxlength=200, autofocus=True)

    def share(self, page: Page) -> None:
        """All callers that the page is shared with from now on, and the owner, which only an admin may change."""
        self._callers, self._owner = " ".join(page.shared_with), page.owner
        with self._form.opened(f"Share {page.name or page.id}", "Save", lambda: self._share(page)):
            Tag("p", "These callers may send through the page, change it, hold it and release it, within their scopes.")
            entry("Shared with (names, with blanks between them)", self._set_callers, value=self._callers)
            entry("Owner (only an admin may change it)", self._set_owner, value=page.owner, maxlength=128)

    def release(self, page: Page) -> None:
        """Asks before everything goes on."""
        text = "What is pending leaves again."
        if page.hold.error_code:
            text += " If the cause still stands, the next attempt fails and the page is held again."
        if page.HasField("pause"):
            text += " The platform asked for the pause: calling it too early may make its limit last longer."
        name = page.name or page.id
        self._frame.dialog.ask(f"Release {name}?", text, "Release the page", lambda: self._release(page))

    def _begin(self, wanted: PutPageRequest) -> None:
        """What is left empty stays as the page has it."""
        self._wanted, self._pace = wanted, ""

    def _token_fields(self) -> None:
        token, secret = self._setter("access_token"), self._setter("app_secret")
        entry("Page token", token, kind="password", required=True, spellcheck="false", maxlength=2_000)
        entry("App secret (may stay empty)", secret, kind="password", spellcheck="false", maxlength=200)
        Tag("p", "Both are stored encrypted, and never shown again.", "hint")

    def _pace_fields(self, page: Page) -> None:
        self._pace = f"{page.messages_per_second:g}" if page.messages_per_second else ""
        modes = {str(mode): word for mode, word in SEND_MODES.items()}
        mode = page.send_mode or SendMode.SEND_MODE_SINGLE
        label = "Messages a second" if page.id else "Messages a second (empty: the server's default)"
        entry(label, self._set_pace, value=self._pace, inputmode="decimal")
        choice("They leave as", modes, self._set_mode, value=str(mode))
        Tag("p", "The platform takes 300 a second at most, and may stop a page that goes on above about 40.", "hint")

    def _setter(self, name: str) -> Callable[[str], None]:
        return lambda value: setattr(self._wanted, name, value.strip())

    def _set_pace(self, value: str) -> None:
        self._pace = value

    def _set_mode(self, value: str) -> None:
        self._wanted.send_mode = SendMode.ValueType(int(value))

    def _set_reason(self, value: str) -> None:
        self._reason = value.strip()

    def _set_callers(self, value: str) -> None:
        self._callers = value

    def _set_owner(self, value: str) -> None:
        self._owner = value.strip()

    async def _put(self) -> bool:
        pace = number_of(self._pace) if self._pace.strip() else 0.0
        if pace is None or pace < 0:
            self._form.errors.tell("The pace is no number.", "Give one like 10 or 0.5.")
            return False
        self._wanted.messages_per_second = pace
        answer = await self._form.attempt(self._frame.client.put_page(self._wanted))
        if answer is None:
            return False
        self._wanted.Clear()
        self._frame.say(" ".join([f"{answer.page.name or answer.page.id} is up to date.", *answer.warnings]))
        return True

    async def _hold(self, page: Page) -> bool:
        answer = await self._form.attempt(self._frame.client.hold_page(page.id, self._reason))
        if answer is None:
            return False
        self._frame.say(f"{page.name or page.id} is on hold.")
        return True

    async def _share(self, page: Page) -> bool:
        """Without authentication who gives a page away may not share it afterwards, nor share one without an owner."""
        steps = (self._change_sharing, self._change_owner) if page.owner else (self._change_owner, self._change_sharing)
        for step in steps:
            if not await step(page):
                return False
        self._frame.say(f"{page.name or page.id} is up to date.")
        return True

    async def _change_sharing(self, page: Page) -> bool:
        callers = sorted(set(self._callers.split()))
        if callers == list(page.shared_with):
            return True
        return await self._form.attempt(self._frame.client.share_page(page.id, callers)) is not None

    async def _change_owner(self, page: Page) -> bool:
        if self._owner in ("", page.owner):
            return True
        return await self._form.attempt(self._frame.client.transfer_page(page.id, self._owner)) is not None

    async def _release(self, page: Page) -> None:
        answer = await self._frame.attempt(self._frame.client.release_page(page.id))
        if answer is not None:
            self._frame.say(f"{page.name or page.id} goes on.")
