"""Page tokens: the start of the next page, valid for the same list only."""

import base64
from typing import NamedTuple

import msgspec
import pytest

from domain.errors import InvalidRequest
from projections.message_rows import MessageFilter
from server.api.mapping.page_tokens import Listing, ListPage, Name, Number

WANTED = MessageFilter(owner="local", page_id="1001")


class Asked(NamedTuple):
    page_size: int = 0
    page_token: str = ""


NAMES: Listing[str, str] = Listing("ListNames", Name, start="", cursor_of=lambda name: name)
PLACES: Listing[tuple[int, int], tuple[int, int]] = Listing(
    "ListPlaces", tuple[Number, Number], start=(0, 0), cursor_of=lambda place: place
)


def token_after(name: str, wanted: object = WANTED) -> str:
    _, token = NAMES.page(Asked(1), wanted).cut([name, "one more"])
    return token


def refused(listing: Listing[str, str], token: str, wanted: object = WANTED) -> str:
    with pytest.raises(InvalidRequest) as caught:
        listing.page(Asked(0, token), wanted)
    [(field, words)] = caught.value.violations
    assert field == "page_token"
    return words


def test_the_first_page_starts_at_the_beginning_and_has_a_hundred_rows() -> None:
    page: ListPage[str, str] = NAMES.page(Asked(), WANTED)

    assert page.after == ""
    assert page.limit == 101, "one more than is shown"


def test_a_page_continues_after_the_one_before() -> None:
    page = NAMES.page(Asked(2), WANTED)
    shown, token = page.cut(["ann", "bob", "cid"])

    assert list(shown) == ["ann", "bob"]
    assert NAMES.page(Asked(2, token), WANTED).after == "bob"


@pytest.mark.parametrize("rows", [[], ["ann"], ["ann", "bob"]])
def test_the_last_page_has_no_token_even_when_it_is_full(rows: list[str]) -> None:
    assert NAMES.page(Asked(2), WANTED).cut(rows) == (rows, "")


def test_a_cursor_of_several_parts_is_restored() -> None:
    _, token = PLACES.page(Asked(1), WANTED).cut([(3, 99), (4, 0)])

    assert PLACES.page(Asked(1, token), WANTED).after == (3, 99)


def test_the_page_size_may_change_from_page_to_page() -> None:
    assert NAMES.page(Asked(7, token_after("ann")), WANTED).limit == 8


@pytest.mark.parametrize(
    "other",
    [
        MessageFilter(owner="local", page_id="2002"),
        MessageFilter(owner="local", page_id="1001", with_failures=True),
        MessageFilter(owner="another", page_id="1001"),
    ],
)
def test_a_token_is_invalid_with_another_filter(other: MessageFilter) -> None:
    assert "another list" in refused(NAMES, token_after("ann"), other)


def test_a_token_is_invalid_for_another_method() -> None:
    others: Listing[str, str] = Listing("ListOthers", Name, start="", cursor_of=lambda name: name)

    assert "another list" in refused(others, token_after("ann"))


def forged(content: object) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(content)).decode()


OF_LIST = msgspec.json.decode(base64.urlsafe_b64decode(token_after("ann")))[1]


@pytest.mark.parametrize(
    "token",
    [
        "ann",
        "é",
        "@@@@",
        token_after("ann")[:-1],
        token_after("ann") + "\n",
        forged("ann"),
        forged(["ann"]),
        forged([7, OF_LIST]),
        forged(["a\0", OF_LIST]),
        forged(["a" * 129, OF_LIST]),
        forged(["ann", OF_LIST, "more"]),
    ],
)
def test_an_unreadable_token_is_refused(token: str) -> None:
    assert refused(NAMES, token) == "is not a token of this server"


def test_a_number_outside_the_databases_range_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        PLACES.page(Asked(0, forged([[2**63, 0], OF_LIST])), WANTED)
