"""A page in every look that people have it in: light, dark, on a phone."""

from tests.dashboard.stage import PHONE, WINDOW, Visit


async def look_everywhere(visit: Visit, name: str) -> None:
    """Nothing that axe-core finds, nothing wider than a phone; pictures where these are asked for."""
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
