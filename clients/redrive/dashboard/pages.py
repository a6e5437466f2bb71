"""Pages: the pages of the platform that send, their pace, their holds and their tokens."""

from redrive.dashboard.elements import Tag, button
from redrive.dashboard.frame import Frame
from redrive.dashboard.page_card import PageCard
from redrive.dashboard.page_forms import PageForms
from redrive.dashboard.site import Site
from redrive.v1.page_pb2 import Page


def add_pages(site: Site) -> None:
    """Registers the page."""

    @site.page("/pages", "Pages")
    async def pages(frame: Frame) -> None:
        await _Pages(frame).open()


class _Pages:
    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._forms = PageForms(frame)
        self._cards: dict[str, PageCard] = {}

    async def open(self) -> None:
        """Draws everything, and follows the list."""
        with Tag("div", "", "row spread pages-head"):
            Tag("p", "Each page of the platform sends with its own token, at its own pace.", "muted")
            button("Register a page", self._forms.register, icon_name="add", classes="primary")
        self._empty = Tag("p", "No page is registered yet: a message needs one that sends it.", "card empty")
        self._empty.show(when=False)
        self._list = Tag("div", "", "columns")
        await self._frame.follow(("pages", "all"), self._frame.backend.pages, self._show)

    def _show(self, pages: list[Page]) -> None:
        self._empty.show(when=not pages)
        for page in pages:
            if page.id not in self._cards:
                with self._list:
                    self._cards[page.id] = PageCard(self._forms)
            self._cards[page.id].show(page)
        shown = {page.id for page in pages}
        for page_id, card in self._cards.items():
            card.box.show(when=page_id in shown)  # a page that is no longer shared leaves the list
