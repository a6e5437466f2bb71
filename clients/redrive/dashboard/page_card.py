"""One page of the platform: how fast it sends, and why it does not."""

from google.protobuf.timestamp_pb2 import Timestamp

from redrive.dashboard.chips import Chip
from redrive.dashboard.elements import Tag, button, link, time_of
from redrive.dashboard.formats import moment, rate
from redrive.dashboard.labels import Label, error_label
from redrive.dashboard.page_forms import SEND_MODES, PageForms
from redrive.dashboard.pause_note import PauseNote
from redrive.halt_text import remedy_for_hold
from redrive.v1.error_pb2 import ErrorType
from redrive.v1.page_pb2 import Page, PageHold

_SENDS = Label("Sends", "check_circle", "good")
_HELD = Label("On hold", "pause_circle", "bad")
_PAUSED = Label("Paused", "hourglass_empty", "warn")


def _shared(page: Page) -> str:
    """Return who else uses the page."""
    named = ["every caller, for sending" if caller == "*" else caller for caller in page.shared_with]
    return ", ".join(named).capitalize() if "*" in page.shared_with else ", ".join(named) or "No other caller"


class PageCard:
    """Filled again and again; its buttons act on what it shows."""

    def __init__(self, forms: PageForms) -> None:
        self._page = Page()
        with Tag("section", "", "card page-card") as self.box:
            with Tag("div", "", "row spread"):
                self._name = Tag("h2")
                self._state = Chip(_SENDS)
            self._hold = _HoldNote()
            self._pause = PauseNote()
            with Tag("dl", "", "facts"):
                self._id, self._pace, self._mode, self._token = map(_fact, ("Id", "Pace", "They leave as", "Token"))
                self._owner, self._shared = map(_fact, ("Owner", "Shared with"))
                with Tag("div"):
                    Tag("dt", "Changed")
                    with Tag("dd"):
                        self._changed = time_of(Timestamp())
            self._draw_buttons(forms)

    def show(self, page: Page) -> None:
        """The page as it is now."""
        self._page = page
        name = page.name or page.id
        is_held, is_paused = page.HasField("hold"), page.HasField("pause")
        self.box.attributes(aria_label=name)
        self._name.say(name)
        self._state.show(_HELD if is_held else _PAUSED if is_paused else _SENDS)
        self._hold.show(page.hold if is_held else None)
        self._pause.show(page.pause if is_paused else None)
        self._id.say(page.id)
        self._pace.say(rate(page.messages_per_second))
        self._mode.say(SEND_MODES.get(page.send_mode, f"Mode {page.send_mode}"))
        self._token.say(f"Number {page.token_generation}{'' if page.token_verified else ', not tried yet'}")
        self._owner.say(page.owner or "None: every caller may use it")
        self._shared.say(_shared(page))
        self._changed.attributes(datetime=moment(page.update_time))
        self._report.attributes(href=f"/reports?page={page.id}")
        self._show_buttons(page, is_held=is_held, is_paused=is_paused)

    def _draw_buttons(self, forms: PageForms) -> None:
        with Tag("div", "", "row"):
            self._replace = button("Replace the token", lambda: forms.replace_token(self._page), icon_name="key")
            button("Change the pace", lambda: forms.change_pace(self._page), icon_name="speed")
            self._to_hold = button("Hold", lambda: forms.hold(self._page), icon_name="pause", classes="danger")
            self._to_release = button("Release", lambda: forms.release(self._page), icon_name="play_arrow")
            button("Share", lambda: forms.share(self._page), icon_name="group")
            self._report = link("Report", "/reports")

    def _show_buttons(self, page: Page, *, is_held: bool, is_paused: bool) -> None:
        """What mends the cause stands out."""
        is_dead_token = page.hold.error_type == ErrorType.ERROR_TYPE_ACCESS_TOKEN
        self._to_hold.show(when=not is_held)
        self._to_release.show(when=is_held or is_paused)
        self._replace.look("button primary" if is_held and is_dead_token else "button")
        self._to_release.look("button primary" if is_held and not is_dead_token else "button")


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
        """Why nothing leaves; hidden for a page that sends."""
        self._box.show(when=hold is not None)
        if hold is None:
            return
        self._reason.say(hold.reason or "No reason was given.")
        is_fault = bool(hold.error_code or hold.error_type)
        self._cause.say(f"{error_label(hold.error_type).word}, error {hold.error_code}." if is_fault else "By hand.")
        self._since.attributes(datetime=moment(hold.hold_time))
        self._by.say(f", by {hold.held_by}" if hold.held_by else "")
        self._remedy.say(remedy_for_hold(hold))


def _fact(name: str) -> Tag:
    with Tag("div"):
        Tag("dt", name)
        return Tag("dd")
