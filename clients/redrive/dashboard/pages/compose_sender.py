"""The section of Compose for the page, the title and the schedule time."""

from datetime import datetime

from redrive.dashboard.pages.frame import Frame
from redrive.dashboard.state.composition import Composition, Schedule
from redrive.dashboard.widgets.elements import Tag, choice, link, time_of
from redrive.dashboard.widgets.inputs import text_input, time_input
from redrive.v1.page_pb2 import Page


class SenderSection:
    """Stores each choice in the composition at once."""

    def __init__(self, composition: Composition) -> None:
        self._composition = composition
        self._pages: list[Page] | None = None
        with Tag("section", "", "card", aria_label="Sender"):
            Tag("h2", "Sender")
            with Tag("div", "", "columns narrow"):
                with Tag("div") as self._place:
                    Tag("p", "Loading the pages …", "muted")
                text_input("Title (for display)", self._name, value=composition.title, maxlength=200)
                time_input("Send at (empty: at once)", self._schedule, value=composition.schedule.typed)
            self._note = Tag("div")

    async def follow(self, frame: Frame) -> None:
        """Keep the list of pages up to date."""
        await frame.follow(("pages", "all"), frame.backend.pages, self._show)

    def _show(self, pages: list[Page]) -> None:
        if pages == self._pages:
            return
        names, old_names = (
            [(page.id, page.name) for page in pages],
            [(page.id, page.name) for page in self._pages or ()],
        )
        if names != old_names or self._pages is None:
            self._draw_choice(pages)
        self._pages = pages
        self._warn()

    def _draw_choice(self, pages: list[Page]) -> None:
        self._place.clear()
        with self._place:
            if pages:
                options = {"": "Choose one"} | {page.id: page.name or page.id for page in pages}
                choice("Page", options, self._choose, value=self._composition.page_id)
            else:
                Tag("p", "No page is registered yet.")
                link("Register a page", "/pages")

    def _warn(self) -> None:
        """Warn if the page is on hold or paused: the message can be sent, but waits."""
        self._note.clear()
        page = next((page for page in self._pages or () if page.id == self._composition.page_id), None)
        if page is not None and page.HasField("hold"):
            with self._note, Tag("p", "", "note"):
                Tag(
                    "span",
                    f"This page is on hold: {page.hold.reason or 'no reason was given'}. Messages wait. ",
                )
                link("See the pages", "/pages")
        elif page is not None and page.HasField("pause"):
            with self._note, Tag("p", "", "note"):
                Tag("span", f"This page is paused: {page.pause.reason}. The message waits until ")
                time_of(page.pause.until_time)

    def _choose(self, page_id: str) -> None:
        self._composition.page_id = page_id
        self._warn()

    def _name(self, title: str) -> None:
        self._composition.title = title

    def _schedule(self, typed: str, moment: datetime | None) -> None:
        self._composition.schedule = Schedule(typed, moment)
