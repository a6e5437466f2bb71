"""The page Pages: the Facebook pages that send, with their rate, holds and tokens."""

from google.protobuf.timestamp_pb2 import Timestamp

from redrive.dashboard.pages.frame import Frame
from redrive.dashboard.pages.page_forms import SEND_MODES, PageForms
from redrive.dashboard.pages.registry import PageRegistry
from redrive.dashboard.widgets.elements import Tag, button, link, time_of
from redrive.dashboard.widgets.labels import Label, error_label
from redrive.dashboard.widgets.status import Chip, PauseNote
from redrive.texts.formats import format_rate, iso_time
from redrive.texts.stops import hold_remedy
from redrive.v1.error_pb2 import ErrorType
from redrive.v1.page_pb2 import Page, PageHold

_ACTIVE = Label("Active", "check_circle", "good")
_HELD = Label("On hold", "pause_circle", "bad")
_PAUSED = Label("Paused", "hourglass_empty", "warn")


def _shared(page: Page) -> str:
    """Return which other callers use the page."""
    named = ["every caller, for sending" if caller == "*" else caller for caller in page.shared_with]
    return ", ".join(named).capitalize() if "*" in page.shared_with else ", ".join(named) or "No other caller"


class PageCard:
    """A card that shows one page; its buttons act on that page."""

    def __init__(self, forms: PageForms) -> None:
        self._page = Page()
        with Tag("section", "", "card page-card") as self.box:
            with Tag("div", "", "row spread"):
                self._name = Tag("h2")
                self._state = Chip(_ACTIVE)
            self._hold = _HoldNote()
            self._pause = PauseNote()
            with Tag("dl", "", "facts"):
                self._id, self._rate, self._mode, self._token = map(_fact, ("Id", "Rate", "Send mode", "Token"))
                self._owner, self._shared = map(_fact, ("Owner", "Shared with"))
                with Tag("div"):
                    Tag("dt", "Changed")
                    with Tag("dd"):
                        self._changed = time_of(Timestamp())
            self._draw_buttons(forms)

    def show(self, page: Page) -> None:
        """Show the present state of the page."""
        self._page = page
        name = page.name or page.id
        is_held, is_paused = page.HasField("hold"), page.HasField("pause")
        self.box.set_attributes(aria_label=name)
        self._name.update_text(name)
        self._state.show(_HELD if is_held else _PAUSED if is_paused else _ACTIVE)
        self._hold.show(page.hold if is_held else None)
        self._pause.show(page.pause if is_paused else None)
        self._id.update_text(page.id)
        self._rate.update_text(format_rate(page.messages_per_second))
        self._mode.update_text(SEND_MODES.get(page.send_mode, f"Mode {page.send_mode}"))
        self._token.update_text(f"Number {page.token_generation}{'' if page.token_verified else ', not verified'}")
        self._owner.update_text(page.owner or "None: every caller may use it")
        self._shared.update_text(_shared(page))
        self._changed.set_attributes(datetime=iso_time(page.update_time))
        self._report.set_attributes(href=f"/reports?page={page.id}")
        self._show_buttons(page, is_held=is_held, is_paused=is_paused)

    def _draw_buttons(self, forms: PageForms) -> None:
        with Tag("div", "", "row"):
            self._replace = button("Replace the token", lambda: forms.replace_token(self._page), icon_name="key")
            button("Change the rate", lambda: forms.change_rate(self._page), icon_name="speed")
            self._to_hold = button("Hold", lambda: forms.hold(self._page), icon_name="pause", classes="danger")
            self._to_release = button("Release", lambda: forms.release(self._page), icon_name="play_arrow")
            button("Share", lambda: forms.share(self._page), icon_name="group")
            self._report = link("Report", "/reports")

    def _show_buttons(self, page: Page, *, is_held: bool, is_paused: bool) -> None:
        """Show the buttons that apply, and highlight the one that ends the hold."""
        is_dead_token = page.hold.error_type == ErrorType.ERROR_TYPE_ACCESS_TOKEN
        self._to_hold.show(when=not is_held)
        self._to_release.show(when=is_held or is_paused)
        self._replace.update_classes("button primary" if is_held and is_dead_token else "button")
        self._to_release.update_classes("button primary" if is_held and not is_dead_token else "button")


class _HoldNote:
    def __init__(self) -> None:
        with Tag("div", "", "note") as self._box:
            self._reason = Tag("p", "", "hold-reason")
            with Tag("p"):
                self._cause = Tag("span")
                Tag("span", " Since ")
                self._since = time_of(Timestamp())
                self._by = Tag("span")
            self._remedy = Tag("p")

    def show(self, hold: PageHold | None) -> None:
        """Show why and since when the page is on hold; hidden if it is not."""
        self._box.show(when=hold is not None)
        if hold is None:
            return
        self._reason.update_text(hold.reason or "No reason was given.")
        is_fault = bool(hold.error_code or hold.error_type)
        self._cause.update_text(
            f"{error_label(hold.error_type).text}, error {hold.error_code}." if is_fault else "By a user."
        )
        self._since.set_attributes(datetime=iso_time(hold.hold_time))
        self._by.update_text(f", by {hold.held_by}" if hold.held_by else "")
        self._remedy.update_text(hold_remedy(hold))


def _fact(name: str) -> Tag:
    with Tag("div"):
        Tag("dt", name)
        return Tag("dd")


def add_pages(registry: PageRegistry) -> None:
    """Register the page."""

    @registry.page("/pages", "Pages")
    async def pages(frame: Frame) -> None:
        await _FacebookPagesPage(frame).open()


class _FacebookPagesPage:
    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._forms = PageForms(frame)
        self._cards: dict[str, PageCard] = {}

    async def open(self) -> None:
        """Draw the page, and follow the list."""
        with Tag("div", "", "row spread pages-head"):
            Tag("p", "Each Facebook page sends with its own token, at its own rate.", "muted")
            button("Register a page", self._forms.register, icon_name="add", classes="primary")
        self._empty = Tag("p", "No page is registered yet. Register one to send messages.", "card empty")
        self._empty.show(when=False)
        self._list = Tag("div", "", "columns")
        await self._frame.follow(("pages", "all"), self._frame.backend.pages, self._show)

    def _show(self, pages: list[Page]) -> None:
        self._empty.show(when=not pages)
        for page in pages:
            if page.id not in self._cards:
                with self._list:
                    self._cards[page.id] = PageCard(self._forms)
            self._cards[page.id].show(page)
        shown = {page.id for page in pages}
        for page_id, card in self._cards.items():
            card.box.show(when=page_id in shown)  # hide a page that is no longer shared
