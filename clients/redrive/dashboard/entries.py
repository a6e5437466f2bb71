"""Inputs that keep what was typed: nothing that is drawn anew sets them back.

The browser is given what stands in them at first as its default only. A `value` would be set again each time that
anything on the page changes.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime

from nicegui.events import GenericEventArguments

from redrive.dashboard.elements import Attribute, Tag

_VALUE = "(event) => emit(event.target.value)"
_MOMENT = """(event) => {
  const {value, validity} = event.target;
  emit(validity.badInput ? "?" : value, value ? new Date(value).toISOString() : "");
}"""


def entry(label: str, changed: Callable[[str], None], *, value: str = "", kind: str = "text", **more: Attribute) -> Tag:
    """A labelled input that tells each change at once, so that a button pressed right after finds it."""
    with Tag("label", "", "field"):
        Tag("span", label)
        typed = Tag("input", "", "", type=kind, autocomplete="off", **more)
    typed.attributes(**{"^value": value or None})
    typed.on("input", lambda event: changed(str(event.args)), js_handler=_VALUE)
    return typed


def text_entry(label: str, changed: Callable[[str], None], *, value: str = "", **more: Attribute) -> Tag:
    """A labelled text of several lines."""
    with Tag("label", "", "field"):
        Tag("span", label)
        typed = Tag("textarea", value, "", **more)
    typed.on("input", lambda event: changed(str(event.args)), js_handler=_VALUE)
    return typed


def time_entry(
    label: str, changed: Callable[[str, datetime | None], Awaitable[None] | None], *, value: str = ""
) -> Tag:
    """A day and a time in the viewer's zone: as typed (? when half of it is), and the moment; None for none.

    The zone and the moment are shown below it (static/dashboard.js), as the clock may skip a time or show it twice.
    """
    with Tag("div"):
        with Tag("label", "", "field"):
            Tag("span", label)
            typed = Tag("input", "", "", type="datetime-local", max="9999-12-31T23:59")
        with Tag("p", "", "hint", role="status"):
            meaning = Tag("red-moment", typed=value)
    typed.attributes(**{"^value": value or None})

    def note(event: GenericEventArguments) -> Awaitable[None] | None:
        local, moment = event.args
        meaning.attributes(typed=str(local))
        return changed(str(local), moment_of(str(moment)))

    typed.on("input", note, js_handler=_MOMENT)
    return typed


def moment_of(text: str) -> datetime | None:
    """What a browser wrote as RFC 3339; None for what is none, and for a year that no calendar here has."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
