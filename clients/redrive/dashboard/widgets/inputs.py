"""Inputs that keep the typed text when the page is drawn again.

The browser gets the initial text only as a default. NiceGUI would set a `value` again with every change of the page.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime

from nicegui.events import GenericEventArguments

from redrive.dashboard.widgets.elements import Attribute, Tag

_VALUE = "(event) => emit(event.target.value)"
_MOMENT = """(event) => {
  const {value, validity} = event.target;
  emit(validity.badInput ? "?" : value, value ? new Date(value).toISOString() : "");
}"""


def text_input(
    label: str, changed: Callable[[str], None], *, value: str = "", kind: str = "text", **more: Attribute
) -> Tag:
    """Return a labelled input that reports each change at once, so that a button pressed right after sees it."""
    with Tag("label", "", "field"):
        Tag("span", label)
        typed = Tag("input", "", "", type=kind, autocomplete="off", **more)
    typed.set_attributes(**{"^value": value or None})
    typed.on("input", lambda event: changed(str(event.args)), js_handler=_VALUE)
    return typed


def text_area(label: str, changed: Callable[[str], None], *, value: str = "", **more: Attribute) -> Tag:
    """Return a labelled text area."""
    with Tag("label", "", "field"):
        Tag("span", label)
        typed = Tag("textarea", value, "", **more)
    typed.on("input", lambda event: changed(str(event.args)), js_handler=_VALUE)
    return typed


def time_input(
    label: str, changed: Callable[[str, datetime | None], Awaitable[None] | None], *, value: str = ""
) -> Tag:
    """Return an input for a local date and time.

    `changed` gets the typed text ("?" if it is incomplete), and the moment in the viewer's time zone, None for none.
    Below the input, static/dashboard.js shows the time zone and the moment, because clock changes skip or repeat local
    times.
    """
    with Tag("div"):
        with Tag("label", "", "field"):
            Tag("span", label)
            typed = Tag("input", "", "", type="datetime-local", max="9999-12-31T23:59")
        with Tag("p", "", "hint", role="status"):
            meaning = Tag("red-moment", typed=value)
    typed.set_attributes(**{"^value": value or None})

    def note(event: GenericEventArguments) -> Awaitable[None] | None:
        local, moment = event.args
        meaning.set_attributes(typed=str(local))
        return changed(str(local), parse_iso_time(str(moment)))

    typed.on("input", note, js_handler=_MOMENT)
    return typed


def parse_iso_time(text: str) -> datetime | None:
    """Parse RFC 3339 text of a browser; None for other texts, and for years that Python does not support."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
