"""Native HTML elements, drawn by NiceGUI, with the keyboard and screen-reader support of the browser."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from google.protobuf.timestamp_pb2 import Timestamp
from nicegui.elements.mixins.text_element import TextElement
from nicegui.events import GenericEventArguments

from redrive.texts.formats import iso_time
from redrive.texts.visible_text import shown_lines

Attribute: TypeAlias = str | int | bool | None
Action: TypeAlias = Callable[[], Awaitable[None] | None]
OnText: TypeAlias = Callable[[str], Awaitable[None] | None]
OnToggle: TypeAlias = Callable[[bool], Awaitable[None] | None]


class Tag(TextElement):
    """One element. Underscores in attribute names become dashes; attributes with the value None are left out.

    Texts are shown without control characters and without characters that change the order of others.
    """

    def __init__(self, name: str, text: str = "", classes: str = "", **attributes: Attribute) -> None:
        super().__init__(tag=name, text=text if name == "textarea" else shown_lines(text))
        if classes:
            self.classes(classes)
        self.set_attributes(**attributes)

    def set_attributes(self, **attributes: Attribute) -> None:
        """Set attributes, and remove those that are None or False. Only changes are sent to the browser."""
        for key, value in attributes.items():
            name = key.strip("_").replace("_", "-")
            new_value = _shown(name, value)
            if self.props.get(name) != new_value:
                self.props.set_optional(name, new_value)

    def update_text(self, text: str) -> None:
        """Set the text if it differs."""
        text = shown_lines(text)
        if self.text != text:
            self.set_text(text)

    def update_classes(self, classes: str) -> None:
        """Set the classes if they differ."""
        if list(self._classes) != classes.split():
            self.classes(replace=classes)

    def show(self, *, when: bool) -> None:
        """Show or hide the element, for screen readers too."""
        self.set_attributes(hidden=not when)


def icon(name: str, classes: str = "") -> Tag:
    """Return an icon, which is hidden from screen readers: put a text beside it."""
    return Tag("i", name, f"icon {classes}".strip(), aria_hidden="true")


def button(text: str, action: Action, *, icon_name: str = "", classes: str = "", **attributes: Attribute) -> Tag:
    """Return a button; `set_button_text` changes its text."""
    pressed = Tag("button", "", f"button {classes}".strip(), type="button", **attributes)
    with pressed:
        if icon_name:
            icon(icon_name)
        Tag("span", text)
    pressed.on("click", lambda _: action(), args=[])
    return pressed


def set_button_text(pressed: Tag, text: str) -> None:
    """Change the text of a button."""
    label = pressed.default_slot.children[-1]
    if isinstance(label, Tag):
        label.update_text(text)


def link(text: str, target: str, classes: str = "", **attributes: Attribute) -> Tag:
    """Return a link within the dashboard."""
    return Tag("a", text, classes, href=target, **attributes)


def search(label: str, changed: OnText, **more: Attribute) -> Tag:
    """Return a labelled search input that reports its text at most every 0.3 s."""
    with Tag("label", "", "field"):
        Tag("span", label)
        entry = Tag("input", "", "", type="search", **more)
    return entry.on("input", _text_of(changed), throttle=0.3, leading_events=False, js_handler=_VALUE)


def choice(label: str, options: dict[str, str], changed: OnText, *, value: str = "", **more: Attribute) -> Tag:
    """Return a labelled select; `options` maps values to texts."""
    with Tag("label", "", "field"):
        Tag("span", label)
        entry = Tag("select", "", "", aria_label=label, **more)  # else its options count as its label
        with entry:
            for key, text in options.items():
                Tag("option", text, value=key, selected=key == value)
    entry.on("change", _text_of(changed), js_handler=_VALUE)
    return entry


def checkbox(label: str, changed: OnToggle, *, is_on: bool = False) -> Tag:
    """Return a checkbox with a visible label."""
    with Tag("label", "", "check"):
        box = bare_checkbox(None, changed, is_on=is_on)
        Tag("span", label)
    return box


def bare_checkbox(label: str | None, changed: OnToggle, *, is_on: bool = False) -> Tag:
    """Return a checkbox with a label for screen readers only."""
    box = Tag("input", "", "", type="checkbox", checked=is_on, aria_label=label)

    def note(event: GenericEventArguments) -> Awaitable[None] | None:
        box.set_attributes(checked=bool(event.args))
        return changed(bool(event.args))

    return box.on("change", note, js_handler="(event) => emit(event.target.checked)")


def time_of(value: Timestamp, *, as_age: bool = False, with_zone: bool = False) -> Tag:
    """Return a time in the viewer's time zone, or its age; static/dashboard.js keeps it up to date."""
    return Tag("red-time", "", "", datetime=iso_time(value), age=as_age, zone=with_zone)


def _shown(name: str, value: Attribute) -> Attribute:
    """Return an attribute as displayed; the value of an input stays as the user typed it."""
    if isinstance(value, str) and name not in _OF_INPUTS:
        return shown_lines(value)
    return None if value is False else value


_OF_INPUTS = ("value", "^value")
_VALUE = "(event) => emit(event.target.value)"


def _text_of(changed: OnText) -> Callable[[GenericEventArguments], Awaitable[None] | None]:
    return lambda event: changed(str(event.args))
