"""HTML's own elements, drawn by NiceGUI: they bring their keyboard and screen-reader behaviour with them."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from google.protobuf.timestamp_pb2 import Timestamp
from nicegui.elements.mixins.text_element import TextElement
from nicegui.events import GenericEventArguments

from redrive.dashboard.formats import moment
from redrive.visible_text import shown_lines

Attribute: TypeAlias = str | int | bool | None
Work: TypeAlias = Callable[[], Awaitable[None] | None]
WithText: TypeAlias = Callable[[str], Awaitable[None] | None]
Switched: TypeAlias = Callable[[bool], Awaitable[None] | None]


class Tag(TextElement):
    """One element; attributes with an underscore get a dash, and those that are None are left out.

    Texts from outside are shown without control characters and without those that change the order of the others.
    """

    def __init__(self, name: str, text: str = "", classes: str = "", **attributes: Attribute) -> None:
        super().__init__(tag=name, text=text if name == "textarea" else shown_lines(text))
        if classes:
            self.classes(classes)
        self.attributes(**attributes)

    def attributes(self, **attributes: Attribute) -> None:
        """Sets attributes, takes those away that are None or False, and tells the browser only of changes."""
        for key, value in attributes.items():
            name = key.strip("_").replace("_", "-")
            wanted = _shown(name, value)
            if self.props.get(name) != wanted:
                self.props.set_optional(name, wanted)

    def say(self, text: str) -> None:
        """Another text, if it is another."""
        text = shown_lines(text)
        if self.text != text:
            self.set_text(text)

    def look(self, classes: str) -> None:
        """Other classes, if they are others."""
        if list(self._classes) != classes.split():
            self.classes(replace=classes)

    def show(self, *, when: bool) -> None:
        """Shown or hidden, for screen readers too."""
        self.attributes(hidden=not when)


def icon(name: str, classes: str = "") -> Tag:
    """A picture that says nothing to a screen reader: a word has to stand beside it."""
    return Tag("i", name, f"icon {classes}".strip(), aria_hidden="true")


def button(text: str, work: Work, *, icon_name: str = "", classes: str = "", **attributes: Attribute) -> Tag:
    """A button; its text is in `button_text`, so that it can change."""
    pressed = Tag("button", "", f"button {classes}".strip(), type="button", **attributes)
    with pressed:
        if icon_name:
            icon(icon_name)
        Tag("span", text)
    pressed.on("click", lambda _: work(), args=[])
    return pressed


def relabel(pressed: Tag, text: str) -> None:
    """Another text on a button."""
    label = pressed.default_slot.children[-1]
    if isinstance(label, Tag):
        label.say(text)


def link(text: str, target: str, classes: str = "", **attributes: Attribute) -> Tag:
    """A link within the dashboard."""
    return Tag("a", text, classes, href=target, **attributes)


def search(label: str, changed: WithText, **more: Attribute) -> Tag:
    """A labelled input that tells what stands in it every 0.3 s while it is typed."""
    with Tag("label", "", "field"):
        Tag("span", label)
        entry = Tag("input", "", "", type="search", **more)
    return entry.on("input", _text_of(changed), throttle=0.3, leading_events=False, js_handler=_VALUE)


def choice(label: str, options: dict[str, str], changed: WithText, *, value: str = "", **more: Attribute) -> Tag:
    """A labelled list to choose from: value to text."""
    with Tag("label", "", "field"):
        Tag("span", label)
        entry = Tag("select", "", "", aria_label=label, **more)  # else its options would count as its label
        with entry:
            for key, text in options.items():
                Tag("option", text, value=key, selected=key == value)
    entry.on("change", _text_of(changed), js_handler=_VALUE)
    return entry


def checkbox(label: str, changed: Switched, *, is_on: bool = False) -> Tag:
    """A box with its label beside it."""
    with Tag("label", "", "check"):
        box = tick(None, changed, is_on=is_on)
        Tag("span", label)
    return box


def tick(label: str | None, changed: Switched, *, is_on: bool = False) -> Tag:
    """A box alone; its label is for screen readers."""
    box = Tag("input", "", "", type="checkbox", checked=is_on, aria_label=label)

    def note(event: GenericEventArguments) -> Awaitable[None] | None:
        box.attributes(checked=bool(event.args))
        return changed(bool(event.args))

    return box.on("change", note, js_handler="(event) => emit(event.target.checked)")


def time_of(value: Timestamp, *, as_age: bool = False, with_zone: bool = False) -> Tag:
    """A time in the viewer's zone, or how long ago it was; the browser keeps it right (static/dashboard.js)."""
    return Tag("red-time", "", "", datetime=moment(value), age=as_age, zone=with_zone)


def _shown(name: str, value: Attribute) -> Attribute:
    """Return an attribute as it is set; what an input holds stays as the user wrote it."""
    if isinstance(value, str) and name not in _OF_INPUTS:
        return shown_lines(value)
    return None if value is False else value


_OF_INPUTS = ("value", "^value")
_VALUE = "(event) => emit(event.target.value)"


def _text_of(changed: WithText) -> Callable[[GenericEventArguments], Awaitable[None] | None]:
    return lambda event: changed(str(event.args))
