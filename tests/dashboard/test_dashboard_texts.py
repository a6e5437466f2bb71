"""Outside texts cannot change the display of other texts; typed texts stay unchanged."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from nicegui import Client, ui
from playwright.async_api import expect

from redrive.dashboard.widgets.elements import Tag
from redrive.dashboard.widgets.inputs import text_area, text_input
from redrive.v1.content_pb2 import Recipient
from redrive.v1.page_service_pb2 import PutPageRequest
from tests.dashboard.stage import Stage, Visit

HARMFUL = "a\x1b[31mb\x9bc\u202ed\u2066e\u2069\u200f\x07\u2028f"
SHOWN = "a[31mbcde\nf"
FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"


@contextmanager
def tab() -> Iterator[None]:
    """Draw into a page without a browser; an element belongs to the task that creates it."""
    with Client(ui.page("/nowhere")):
        yield


async def test_an_element_shows_no_character_that_changes_others() -> None:
    with tab():
        shown = Tag("p", HARMFUL, title=HARMFUL)
        assert (shown.text, shown.props["title"]) == (SHOWN, SHOWN)
        shown.update_text("")
        shown.update_text(HARMFUL)
        shown.set_attributes(aria_label=HARMFUL)
        assert (shown.text, shown.props["aria-label"]) == (SHOWN, SHOWN)


async def test_emoji_and_joined_letters_stay() -> None:
    with tab():
        for text in (FAMILY, "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "Nguyễn", "two\nlines\tand a tab"):
            assert Tag("p", text).text == text


async def test_typed_text_stays_unchanged() -> None:
    with tab():
        assert text_area("Text", lambda _: None, value=HARMFUL).text == HARMFUL
        assert text_input("Title", lambda _: None, value=HARMFUL).props["^value"] == HARMFUL


@pytest.mark.asyncio(loop_scope="session")
async def test_no_text_runs_as_markup_in_any_view(stage: Stage, visit: Visit) -> None:
    """Titles, names and errors come from outside."""
    markup = '"><img src=x onerror="window.ran=1"><script>window.ran=1</script>{{constructor.constructor("ran=1")()}}'
    await stage.put_page("markup")
    await stage.client.put_page(PutPageRequest(page_id="markup", name=markup, access_token="token-of-markup"))
    await stage.sandbox.control.order(
        {"effect": {"kind": "error", "code": 100, "subcode": 2018001, "message": markup}, "page": "markup"}
    )
    message = await stage.sent("markup", markup, [Recipient(id="m-1", name=markup)])
    await stage.client.hold_page("markup", markup)

    of_message = f"/messages/{message.id}"
    for path in ("/", of_message, f"{of_message}/failed", f"/reports?message={message.id}", "/pages"):
        await visit.open(path)
        await expect(visit.page.locator("body")).to_contain_text("onerror=")
        assert await visit.page.evaluate("window.ran") is None, path
        assert await visit.page.locator("img[src=x]").count() == 0
