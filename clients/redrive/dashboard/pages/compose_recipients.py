"""The section of Compose for the file of recipients, and its problems by line."""

from collections.abc import Awaitable, Callable, Iterable

from nicegui.events import GenericEventArguments

from redrive.dashboard.state.composition import Composition
from redrive.dashboard.state.recipient_file import LineFindings
from redrive.dashboard.uploads import MAX_UPLOAD_BYTES, UPLOAD_PATH
from redrive.dashboard.widgets.elements import Tag, icon
from redrive.texts.formats import format_count, format_number

# The file is the body of a request. Its name is sent over the page's web socket, so that no URL holds it.
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
    413: f"The file is too large: at most {MAX_UPLOAD_BYTES // 1024**2} MB. Send it in parts, or with redrive send.",
    507: "The dashboard holds too many files now. Try again later, or with redrive send.",
    409: "This form has expired. Reload the page, and choose the file again.",
}


class RecipientsSection:
    """Calls `changed` when the recipients change."""

    def __init__(self, composition: Composition, changed: Callable[[], Awaitable[None]]) -> None:
        self._composition = composition
        self._changed = changed
        with Tag("section", "", "card", aria_label="Recipients"):
            Tag("h2", "Recipients")
            Tag(
                "p",
                "A CSV file. The first row names the columns, one of them id or recipient_id. The column name fills "
                "{{name}}, each other column the variable of its name. {{name|friend}} has a default for empty "
                "cells.",
                "muted",
            )
            with Tag("label", "", "button file"):
                icon("upload_file")
                Tag("span", "Choose a CSV file")
                file = Tag("input", "", "only-heard", type="file", accept=".csv,text/csv")
            file.on("change", self._note, js_handler=_UPLOAD.format(address=UPLOAD_PATH, id=composition.id))
            self._state = Tag("p", "", "file-state", role="status")
            self._findings = Tag("div")
        self.show()

    def show(self) -> None:
        """Show the number of recipients, or the problems of the file."""
        composition, file = self._composition, self._composition.recipients
        self._findings.clear()
        if composition.csv_problems:
            self._state.update_text(
                f"{composition.file_name} cannot be sent: correct the problems, and choose it again."
            )
            more = f"The first problems; {format_number(composition.more_csv_problems)} more are not listed"
            rows = [
                (str(one.line), f"{one.column}: {one.description}".lstrip(": ")) for one in composition.csv_problems
            ]
            with self._findings:
                _table(more if composition.more_csv_problems else "Problems", rows, "bad")
        elif file is not None:
            self._state.update_text(f"{composition.file_name}: {format_count(len(file), 'recipient')}.")
            with self._findings:
                for note in file.csv.notes:
                    Tag("p", note, "note")
                draw_findings("Skipped: the id is in an earlier row", file.duplicates)
        else:
            self._state.update_text("No file yet.")

    async def _note(self, event: GenericEventArguments) -> None:
        name, status = event.args
        self._composition.file_name = str(name)
        if not status:
            self._state.update_text(f"Reading {name} …")
            return
        self.show()
        if status != _TAKEN:
            self._state.update_text(_REFUSED.get(int(status), "The upload failed. Try again."))
        await self._changed()


def draw_findings(title: str, findings: LineFindings) -> None:
    """Draw a table of findings by line; nothing if there are none."""
    if not findings.first:
        return
    more = (
        f" ({format_number(findings.count)}; the first {len(findings.first)})"
        if findings.count > len(findings.first)
        else ""
    )
    _table(title + more, [(str(line), description) for line, description in findings.first], "warn")


def _table(title: str, rows: Iterable[tuple[str, str]], tone: str) -> None:
    with Tag("table", "", f"findings {tone}"):
        Tag("caption", title)
        with Tag("thead"), Tag("tr"):
            Tag("th", "Line", "number", scope="col")
            Tag("th", "Problem", scope="col")
        with Tag("tbody"):
            for line, description in rows:
                with Tag("tr"):
                    Tag("td", line, "number")
                    Tag("td", description)
