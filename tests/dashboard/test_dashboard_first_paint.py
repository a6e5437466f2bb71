"""The time until a long list of failures is visible."""

import pytest
from playwright.async_api import Page, expect

from tests.dashboard.stage import Stage, Visit, people

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_first_of_ten_thousand_failures_show_within_a_second(stage: Stage, visit: Visit) -> None:
    await stage.put_page("many", mode="BATCH", rate=100_000)
    await stage.sandbox.control.order({"preset": "temporary", "page": "many"})
    message = await stage.sent("many", "Ten thousand fail", people(10_000, "many"))
    assert message.counts.failed == 10_000
    await visit.open("/")  # users come from another page, so the scripts are in the browser's cache

    await visit.page.add_init_script(_NOTE_FIRST_ROW)
    await visit.page.goto(f"{visit.url}/messages/{message.id}/failed")
    seconds = await _first_row_after(visit.page)

    assert seconds < 1.0
    await expect(visit.page.get_by_text("1 to 50 of 10,000")).to_be_visible()
    assert await visit.page.locator("tbody tr").count() == 50


_NOTE_FIRST_ROW = """
new MutationObserver((_, observer) => {
  if (!document.querySelector("tbody tr")) return;
  observer.disconnect();
  requestAnimationFrame(() => setTimeout(() => { window.firstRow = performance.now(); }));
}).observe(document, { childList: true, subtree: true });
"""


async def _first_row_after(page: Page) -> float:
    """Return the seconds from the navigation to the first visible row, as the browser measured them."""
    noted = await page.wait_for_function("window.firstRow")
    return float(await noted.json_value()) / 1000
