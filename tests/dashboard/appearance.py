"""Checks of a page in light and dark mode, and on a phone."""

from tests.dashboard.stage import PHONE, WINDOW, Visit


async def check_appearance(visit: Visit, name: str) -> None:
    """Check that axe-core finds nothing and that the page fits a phone; take the pictures that are requested."""
    page = visit.page
    assert ("light", await visit.accessibility_faults()) == ("light", [])
    await visit.picture(f"{name}-light")
    await page.emulate_media(color_scheme="dark")
    assert ("dark", await visit.accessibility_faults("color-contrast")) == ("dark", [])
    await visit.picture(f"{name}-dark")
    await page.set_viewport_size(PHONE)
    assert await page.evaluate("document.scrollingElement.scrollWidth") == PHONE["width"]
    assert ("phone", await visit.accessibility_faults()) == ("phone", [])
    await page.emulate_media(color_scheme="light")
    await visit.picture(f"{name}-phone")
    await page.set_viewport_size(WINDOW)
