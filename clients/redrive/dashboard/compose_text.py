"""The part of a composition that is read: its text, and how each recipient will read it."""

import asyncio

from redrive.cli.message_text import filled_address, filled_in, variables_of
from redrive.dashboard.compose_recipients import found
from redrive.dashboard.composition import Composition, text_gaps
from redrive.dashboard.elements import Tag, button
from redrive.dashboard.entries import text_entry
from redrive.dashboard.formats import number
from redrive.dashboard.recipient_file import TextCheck
from redrive.v1.content_pb2 import Recipient

_PAUSE = 0.4  # seconds without a key until everybody's texts are looked at
_INSERT = """() => {{
  const text = document.getElementById("{text}");
  text.setRangeText("{{{{{name}}}}}", text.selectionStart, text.selectionEnd, "end");
  text.dispatchEvent(new Event("input", {{bubbles: true}}));
  text.focus();
}}"""


class TextPart:
    """The text with its variables, and what is wrong with it; the preview stands aside."""

    def __init__(self, composition: Composition, aside: Tag) -> None:
        self._composition = composition
        self._checking: asyncio.Task[None] | None = None
        with Tag("section", "", "card", aria_label="Message"):
            Tag("h2", "Message")
            self._text = text_entry("Text", self._type, value=composition.text, rows=7, maxlength=10_000)
            self._variables = Tag("div", "", "row variables", role="group", aria_label="Put a variable into the text")
            self._wrong = Tag("div", role="status")
        with aside:
            self.preview = Preview(composition)

    def stop(self) -> None:
        """Ends what is under way."""
        if self._checking is not None:
            self._checking.cancel()

    def show_recipients(self) -> None:
        """Other recipients: other variables and other texts."""
        self._variables.clear()
        file = self._composition.recipients
        names = file.people.variables if file is not None else ["name"]
        with self._variables:
            for name in names:
                insert = Tag("button", f"{{{{{name}}}}}", "chip filter neutral", type="button")
                insert.on("click", js_handler=_INSERT.format(text=self._text.html_id, name=name))
        self.preview.show()
        self._look_soon(0)

    def show_check(self, check: TextCheck) -> None:
        """Says what is wrong with the text."""
        self.preview.longest = check.longest
        self._wrong.clear()
        with self._wrong:
            for words in text_gaps(check):
                Tag("p", words, "note")
            found("Too long", check.too_long)
            found("Empty cells without a default", check.lacking)
            found("Blank texts", check.blank)
            found("Empty cells: the default takes their place", check.defaults)
        self.preview.show()

    def _type(self, text: str) -> None:
        self._composition.text = text
        self.preview.show()
        self._look_soon(_PAUSE)

    def _look_soon(self, pause: float) -> None:
        self.stop()
        self._checking = asyncio.create_task(self._look(pause))

    async def _look(self, pause: float) -> None:
        await asyncio.sleep(pause)
        check = await self._composition.check_text()
        if check is not None:
            self.show_check(check)
        else:
            self._wrong.clear()


class Preview:
    """One recipient's text, as it will be; one can step through the recipients."""

    def __init__(self, composition: Composition) -> None:
        self._composition = composition
        self._place = 0
        self.longest: Recipient | None = None
        with Tag("section", "", "card preview", aria_label="Preview"):
            Tag("h2", "Preview")
            with Tag("div", "", "row spread"):
                self._back = button("Previous", lambda: self._step(-1), icon_name="chevron_left")
                self._who = Tag("span", "", "who", role="status")
                self._on = button("Next", lambda: self._step(1), icon_name="chevron_right")
            self._text = Tag("p", "", "bubble")
            self._length = Tag("p", "", "muted")
            self._to_longest = button("Show the longest", self._show_longest, classes="quiet")

    def show(self, *, of: Recipient | None = None) -> None:
        """The text of the recipient who is looked at, or of another one."""
        first = self._composition.recipients.first if self._composition.recipients is not None else []
        self._place = min(self._place, max(0, len(first) - 1))
        person = of or (first[self._place] if first else None)
        self._back.attributes(disabled=not self._place)
        self._on.attributes(disabled=self._place + 1 >= len(first))
        self._who.say(self._which(person, len(first)))
        made, text = self._composition, self._composition.filled_string
        if person is not None:
            text = (filled_address if made.attachment_type else filled_in)(text, person)
        self._say(text)
        self._to_longest.show(when=bool(first and self.longest and variables_of(made.filled_string)))

    def _say(self, text: str) -> None:
        self._text.say(text or "The text stands here as it will be read.")
        self._text.look("bubble" if text else "bubble muted")
        self._length.say(f"{number(len(text))} of {number(self._composition.limit)} characters")
        self._length.look("muted" if len(text) <= self._composition.limit else "too-long")

    def _which(self, person: Recipient | None, first: int) -> str:
        file = self._composition.recipients
        if person is None or file is None:
            return "No recipients yet"
        who = f"{person.name} ({person.id})" if person.name else person.id
        if person is not file.first[self._place]:
            return who
        of = number(len(file)) if first == len(file) else f"the first {number(first)}"
        return f"{who}: {number(self._place + 1)} of {of}"

    def _step(self, by: int) -> None:
        self._place = max(0, self._place + by)
        self.show()

    def _show_longest(self) -> None:
        self.show(of=self.longest)
