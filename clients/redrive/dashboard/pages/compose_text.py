"""The section of Compose for the text, and the preview of the text for each recipient."""

import asyncio

from redrive.dashboard.pages.compose_recipients import draw_findings
from redrive.dashboard.state.composition import Composition, text_problems
from redrive.dashboard.state.recipient_file import TextCheck
from redrive.dashboard.widgets.elements import Tag, button
from redrive.dashboard.widgets.inputs import text_area
from redrive.texts.formats import format_number
from redrive.texts.message_text import filled_address, filled_in, variables_of
from redrive.v1.content_pb2 import Recipient

_PAUSE = 0.4  # seconds after the last key until the texts of all recipients are checked
_INSERT = """() => {{
  const text = document.getElementById("{text}");
  text.setRangeText("{{{{{name}}}}}", text.selectionStart, text.selectionEnd, "end");
  text.dispatchEvent(new Event("input", {{bubbles: true}}));
  text.focus();
}}"""


class TextSection:
    """The text, its variables, and its problems; the preview is in the other column."""

    def __init__(self, composition: Composition, side_column: Tag) -> None:
        self._composition = composition
        self._checking: asyncio.Task[None] | None = None
        with Tag("section", "", "card", aria_label="Message"):
            Tag("h2", "Message")
            self._text = text_area("Text", self._type, value=composition.text, rows=7, maxlength=10_000)
            self._variables = Tag(
                "div", "", "row variables", role="group", aria_label="Insert a variable into the text"
            )
            self._wrong = Tag("div", role="status")
        with side_column:
            self.preview = Preview(composition)

    def stop(self) -> None:
        """Cancel a check that is running."""
        if self._checking is not None:
            self._checking.cancel()

    def show_recipients(self) -> None:
        """Update the variables and the preview after the recipients changed."""
        self._variables.clear()
        file = self._composition.recipients
        names = file.csv.variables if file is not None else ["name"]
        with self._variables:
            for name in names:
                insert = Tag("button", f"{{{{{name}}}}}", "chip filter neutral", type="button")
                insert.on("click", js_handler=_INSERT.format(text=self._text.html_id, name=name))
        self.preview.show()
        self._schedule_check(0)

    def show_check(self, check: TextCheck) -> None:
        """Show the problems of the text."""
        self.preview.longest = check.longest
        self._wrong.clear()
        with self._wrong:
            for words in text_problems(check):
                Tag("p", words, "note")
            draw_findings("Too long", check.too_long)
            draw_findings("Empty cells without a default", check.lacking)
            draw_findings("Blank texts", check.blank)
            draw_findings("Empty cells with a default", check.defaults)
        self.preview.show()

    def _type(self, text: str) -> None:
        self._composition.text = text
        self.preview.show()
        self._schedule_check(_PAUSE)

    def _schedule_check(self, pause: float) -> None:
        self.stop()
        self._checking = asyncio.create_task(self._check_after(pause))

    async def _check_after(self, pause: float) -> None:
        await asyncio.sleep(pause)
        check = await self._composition.check_text()
        if check is not None:
            self.show_check(check)
        else:
            self._wrong.clear()


class Preview:
    """The text as one recipient gets it, with buttons to step through the recipients."""

    def __init__(self, composition: Composition) -> None:
        self._composition = composition
        self._index = 0
        self.longest: Recipient | None = None
        with Tag("section", "", "card preview", aria_label="Preview"):
            Tag("h2", "Preview")
            with Tag("div", "", "row spread"):
                self._back = button("Previous", lambda: self._step(-1), icon_name="chevron_left")
                self._recipient_text = Tag("span", "", "who", role="status")
                self._on = button("Next", lambda: self._step(1), icon_name="chevron_right")
            self._text = Tag("p", "", "bubble")
            self._length = Tag("p", "", "muted")
            self._to_longest = button("Show the longest", self._show_longest, classes="quiet")

    def show(self, *, of: Recipient | None = None) -> None:
        """Show the text for the selected recipient, or for the given one."""
        first = self._composition.recipients.first if self._composition.recipients is not None else []
        self._index = min(self._index, max(0, len(first) - 1))
        recipient = of or (first[self._index] if first else None)
        self._back.set_attributes(disabled=not self._index)
        self._on.set_attributes(disabled=self._index + 1 >= len(first))
        self._recipient_text.update_text(self._describe(recipient, len(first)))
        composition, text = self._composition, self._composition.filled_string
        if recipient is not None:
            text = (filled_address if composition.attachment_type else filled_in)(text, recipient)
        self._show_text(text)
        self._to_longest.show(when=bool(first and self.longest and variables_of(composition.filled_string)))

    def _show_text(self, text: str) -> None:
        self._text.update_text(text or "The preview of the text appears here.")
        self._text.update_classes("bubble" if text else "bubble muted")
        self._length.update_text(f"{format_number(len(text))} of {format_number(self._composition.limit)} characters")
        self._length.update_classes("muted" if len(text) <= self._composition.limit else "too-long")

    def _describe(self, recipient: Recipient | None, first: int) -> str:
        file = self._composition.recipients
        if recipient is None or file is None:
            return "No recipients yet"
        name = f"{recipient.name} ({recipient.id})" if recipient.name else recipient.id
        if recipient is not file.first[self._index]:
            return name
        of = format_number(len(file)) if first == len(file) else f"the first {format_number(first)}"
        return f"{name}: {format_number(self._index + 1)} of {of}"

    def _step(self, by: int) -> None:
        self._index = max(0, self._index + by)
        self.show()

    def _show_longest(self) -> None:
        self.show(of=self.longest)
