"""The part of a composition where the recipients come from: a file, and what is wrong with it, line by line."""

from collections.abc import Awaitable, Callable, Iterable

from nicegui.events import GenericEventArguments

from redrive.dashboard.composition import Composition
from redrive.dashboard.elements import Tag, icon
from redrive.dashboard.formats import counted, number
from redrive.dashboard.recipient_file import Findings
from redrive.dashboard.recipient_upload import ADDRESS, MOST_BYTES

# The file leaves as the body of a request; its name comes over the page's own connection, and stands in no address.
_UPLOAD = """async (event) => {{
  const [file] = event.target.files;
  if (!file) return;
  emit(file.name, 0);
  const request = {{method: "POST", body: file, headers: {{"content-type": "text/csv"}}}};
  const status = await fetch("{address}?composition={id}", request).then((answer) => answer.status, () => -1);
  event.target.value = "";
  emit(file.name, status);
}}"""
_TAKEN = 204
_REFUSED = {
    413: f"The file is too big: at most {MOST_BYTES // 1024 // 1024} MB. Send it in parts, or with redrive send.",
    507: "The dashboard holds too many files now. Try again later, or with redrive send.",
    409: "This form is not known any more. Reload the page, and choose the file again.",
}


class RecipientsPart:
    """`changed` is called when there are other recipients."""

    def __init__(self, composition: Composition, changed: Callable[[], Awaitable[None]]) -> None:
        self._composition = composition
        self._changed = changed
        with Tag("section", "", "card", aria_label="Recipients"):
            Tag("h2", "Recipients")
            Tag(
                "p",
                "A CSV file: the first row names the columns, one of them id or recipient_id. A column name fills "
                "{{name}}, and each other column a variable of its own name. {{name|friend}} has a default for empty "
                "cells.",
                "muted",
            )
            with Tag("label", "", "button file"):
                icon("upload_file")
                Tag("span", "Choose a CSV file")
                file = Tag("input", "", "only-heard", type="file", accept=".csv,text/csv")
            file.on("change", self._note, js_handler=_UPLOAD.format(address=ADDRESS, id=composition.id))
            self._state = Tag("p", "", "file-state", role="status")
            self._findings = Tag("div")
        self.show()

    def show(self) -> None:
        """Says what the file holds."""
        made, file = self._composition, self._composition.recipients
        self._findings.clear()
        if made.csv_problems:
            self._state.say(f"{made.file_name} cannot be sent as it is: nobody is chosen.")
            more = f"The first problems; {number(made.more_csv_problems)} more are not listed"
            rows = [(str(one.line), f"{one.column}: {one.description}".lstrip(": ")) for one in made.csv_problems]
            with self._findings:
                _table(more if made.more_csv_problems else "Problems", rows, "bad")
        elif file is not None:
            self._state.say(f"{made.file_name}: {counted(len(file), 'recipient')}.")
            with self._findings:
                for note in file.people.notes:
                    Tag("p", note, "note")
                found("Left out, since their id is in an earlier row", file.duplicates)
        else:
            self._state.say("No file yet.")

    async def _note(self, event: GenericEventArguments) -> None:
        name, status = event.args
        self._composition.file_name = str(name)
        if not status:
            self._state.say(f"Reading {name} …")
            return
        self.show()
        if status != _TAKEN:
            self._state.say(_REFUSED.get(int(status), "The file did not arrive. Try it again."))
        await self._changed()


def found(title: str, findings: Findings) -> None:
    """The findings by line, where there are any that belong to one."""
    if not findings.first:
        return
    more = (
        f" ({number(findings.count)}; the first {len(findings.first)})" if findings.count > len(findings.first) else ""
    )
    _table(title + more, [(str(line), words) for line, words in findings.first], "warn")


def _table(title: str, rows: Iterable[tuple[str, str]], tone: str) -> None:
    with Tag("table", "", f"findings {tone}"):
        Tag("caption", title)
        with Tag("thead"), Tag("tr"):
            Tag("th", "Line", "number", scope="col")
            Tag("th", "What is wrong", scope="col")
        with Tag("tbody"):
            for line, words in rows:
                with Tag("tr"):
                    Tag("td", line, "number")
                    Tag("td", words)
