"""The part of a composition that says who sends it, under which title, and when."""

from datetime import datetime

from redrive.dashboard.composition import Composition, Schedule
from redrive.dashboard.elements import Tag, choice, link, time_of
from redrive.dashboard.entries import entry, time_entry
from redrive.dashboard.frame import Frame
from redrive.v1.page_pb2 import Page


class SenderPart:
    """Writes each choice into the composition at once."""

    def __init__(self, composition: Composition) -> None:
        self._composition = composition
        self._pages: list[Page] | None = None
        with Tag("section", "", "card", aria_label="From"):
            Tag("h2", "From")
            with Tag("div", "", "columns narrow"):
                with Tag("div") as self._place:
                    Tag("p", "The pages are not known yet.", "muted")
                entry("Title, for you", self._name, value=composition.title, maxlength=200)
                time_entry("Send at (empty: at once)", self._schedule, value=composition.schedule.typed)
            self._note = Tag("div")

    async def follow(self, frame: Frame) -> None:
        """Keeps up with the pages that there are."""
        await frame.follow(("pages", "all"), frame.backend.pages, self._show)

    def _show(self, pages: list[Page]) -> None:
        if pages == self._pages:
            return
        names, had = [(page.id, page.name) for page in pages], [(page.id, page.name) for page in self._pages or ()]
        if names != had or self._pages is None:
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
        """A page on hold can be written for; nothing of it leaves."""
        self._note.clear()
        page = next((page for page in self._pages or () if page.id == self._composition.page_id), None)
        if page is not None and page.HasField("hold"):
            with self._note, Tag("p", "", "note"):
                Tag("span", f"This page is on hold: {page.hold.reason or 'no reason was given'}. What you send waits. ")
                link("See the pages", "/pages")
        elif page is not None and page.HasField("pause"):
            with self._note, Tag("p", "", "note"):
                Tag("span", f"This page is paused: {page.pause.reason}. What you send waits until ")
                time_of(page.pause.until_time)

    def _choose(self, page_id: str) -> None:
        self._composition.page_id = page_id
        self._warn()

    def _name(self, title: str) -> None:
        self._composition.title = title

    def _schedule(self, typed: str, moment: datetime | None) -> None:
        self._composition.schedule = Schedule(typed, moment)
