from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.sandbox.effect import Delay, ErrorAnswer, Usage
from server.sandbox.fault_book import FaultBook, FaultDecision, share_point
from server.sandbox.fault_order import RefusedOrder, read_orders
from server.sandbox.record import Incoming
from server.sandbox.token_book import fingerprint

TOKEN = "T1"


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def book(clock: Clock) -> FaultBook:
    return FaultBook(seed=0, clock=clock)


def place(book: FaultBook, *orders: dict[str, Any]) -> None:
    read = read_orders(msgspec.json.encode([{"effect": {"kind": "error", "code": 1}, **order} for order in orders]))
    assert not isinstance(read, RefusedOrder), read
    book.place(read)


def decide(book: FaultBook, recipient: str = "u1", page: str = "1001", token: str = TOKEN) -> FaultDecision:
    return book.decide(Incoming(recipient, page, fingerprint(token)))


def hits(book: FaultBook, recipient: str = "u1", page: str = "1001", token: str = TOKEN) -> bool:
    return decide(book, recipient, page, token).effect is not None


def test_a_fault_without_a_target_affects_all_recipients(book: FaultBook) -> None:
    place(book, {})
    assert hits(book, "u1")
    assert hits(book, "u2", "1002", "T2")


@pytest.mark.parametrize("recipients", [["u1", "u3"], "u1", ["u[1]*", "u1"], ["u?"], "u*", ["x*", "u*"], ["*1"]])
def test_a_fault_affects_the_recipients_in_its_list_or_patterns(book: FaultBook, recipients: object) -> None:
    place(book, {"recipients": recipients})
    assert hits(book, "u1")
    assert not hits(book, "v2")


def test_an_id_is_matched_completely_and_case_sensitively(book: FaultBook) -> None:
    place(book, {"recipients": ["u1", "v*"]})
    assert not hits(book, "u12")
    assert not hits(book, "U1")
    assert not hits(book, "V1")


def test_a_fault_affects_only_its_page_and_only_its_token(book: FaultBook) -> None:
    place(book, {"page": "1001", "token": "T1"})
    assert hits(book, page="1001", token="T1")
    assert not hits(book, page="1002", token="T1")
    assert not hits(book, page="1001", token="T2")


def test_a_share_affects_about_that_many_and_always_the_same_recipients(book: FaultBook) -> None:
    place(book, {"share": 0.2})
    people = [f"u{number}" for number in range(5_000)]
    first = [person for person in people if hits(book, person)]
    assert 850 < len(first) < 1_150
    assert first == [person for person in people if hits(book, person)]


def test_another_seed_selects_other_recipients(clock: Clock) -> None:
    people = [f"u{number}" for number in range(1_000)]
    picked = []
    for seed, order in ((1, {}), (2, {}), (1, {"seed": 2})):
        book = FaultBook(seed=seed, clock=clock)
        place(book, {"share": 0.5, **order})
        picked.append([person for person in people if hits(book, person)])
    assert picked[0] != picked[1]
    assert picked[1] == picked[2]


def test_a_share_of_zero_affects_none_and_a_share_of_one_all(book: FaultBook) -> None:
    place(book, {"share": 0, "page": "none"}, {"share": 1, "page": "all"})
    assert not any(hits(book, f"u{number}", "none") for number in range(100))
    assert all(hits(book, f"u{number}", "all") for number in range(100))


@given(st.text(min_size=1), st.integers())
def test_every_recipient_has_a_fixed_point_between_0_and_1(recipient: str, seed: int) -> None:
    assert 0 <= share_point(recipient, seed) < 1
    assert share_point(recipient, seed) == share_point(recipient, seed)


def test_times_counts_for_each_recipient(book: FaultBook) -> None:
    place(book, {"times": 2})
    assert [hits(book, "u1") for _ in range(4)] == [True, True, False, False]
    assert [hits(book, "u2") for _ in range(4)] == [True, True, False, False]


def test_a_fault_is_active_only_within_its_window(book: FaultBook, clock: Clock) -> None:
    place(book, {"after_seconds": 10, "for_seconds": 5})
    seen = []
    for clock.now in (1_000, 1_009.9, 1_010, 1_014.9, 1_015):
        seen.append(hits(book))
    assert seen == [False, False, True, True, False]
    assert book.list()[0].over


def test_delays_and_usage_add_up_and_the_first_other_fault_decides(book: FaultBook) -> None:
    place(
        book,
        {"effect": {"kind": "delay", "seconds": 1}},
        {"effect": {"kind": "delay", "seconds": 2}},
        {"effect": {"kind": "usage", "percent": 90}},
        {"effect": {"kind": "error", "code": 2}, "recipients": ["u2"], "accepts": True},
        {"effect": {"kind": "error", "code": 4}},
        {"effect": {"kind": "delay", "seconds": 4}},
    )
    two, four = ErrorAnswer(code=2), ErrorAnswer(code=4)
    assert decide(book, "u1") == FaultDecision(four, accepts=False, delay_seconds=3, usage_percent=90)
    assert decide(book, "u2") == FaultDecision(two, accepts=True, delay_seconds=3, usage_percent=90)
    assert [fault.hits for fault in book.list()] == [2, 2, 2, 1, 1, 0]


def test_a_delay_accepts_the_message(book: FaultBook) -> None:
    place(book, {"effect": {"kind": "delay", "seconds": 1}})
    assert decide(book) == FaultDecision(delay_seconds=1)
    assert [fault.order.effect for fault in book.list()] == [Delay(seconds=1)]


def test_a_rate_limit_starts_at_a_pages_first_hit_and_does_not_repeat(book: FaultBook, clock: Clock) -> None:
    place(book, {"effect": {"kind": "rate_limit", "seconds": 10}})
    clock.now = 1_100
    assert decide(book, "u1", "1001").retry_after == 10
    clock.now = 1_104.5
    assert decide(book, "u2", "1001").retry_after == 6
    assert decide(book, "u3", "1002").retry_after == 10
    clock.now = 1_110
    assert not hits(book, "u1", "1001")
    assert hits(book, "u1", "1002")
    clock.now = 2_000
    assert not hits(book, "u1", "1001")


def test_an_expired_token_is_the_one_in_use_on_each_page(book: FaultBook) -> None:
    place(book, {"effect": {"kind": "token_expired"}})
    assert hits(book, "u1", "1001", "T1")
    assert not hits(book, "u1", "1001", "T2")
    assert hits(book, "u1", "1002", "T2")
    assert hits(book, "u2", "1001", "T1")


def test_a_renewed_token_is_accepted_again(book: FaultBook) -> None:
    place(book, {"effect": {"kind": "token_expired"}})
    assert hits(book, token="T1")
    book.renew(fingerprint("T1"))
    assert not hits(book, token="T1")


def test_a_token_check_does_not_select_the_expired_token(book: FaultBook) -> None:
    place(book, {"effect": {"kind": "token_expired"}})
    check = Incoming(None, "1001", fingerprint("T0"))
    assert book.decide(check).effect is None
    assert hits(book, token="T1")
    assert book.decide(Incoming(None, "1001", fingerprint("T1"))).effect is not None


def test_a_token_named_in_the_order_is_expired_for_token_checks_at_once(book: FaultBook) -> None:
    place(book, {"effect": {"kind": "token_expired"}, "token": "T1"})
    assert book.decide(Incoming(None, "1001", fingerprint("T1"))).effect is not None
    assert book.decide(Incoming(None, "1001", fingerprint("T2"))).effect is None


def test_a_usage_fault_affects_token_checks(book: FaultBook) -> None:
    place(book, {"effect": {"kind": "usage", "percent": 80}})
    assert book.decide(Incoming(None, "1001", "t")).usage_percent == 80
    assert [fault.order.effect for fault in book.list()] == [Usage(percent=80)]
