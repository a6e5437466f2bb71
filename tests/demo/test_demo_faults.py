"""The demo's faults hit the intended recipients."""

from collections import Counter

from demo.faults import EXPIRED_FOR, fault_orders
from demo.recipients import read_people

PEOPLE = read_people()


def test_the_file_holds_a_thousand_different_recipients() -> None:
    assert len(PEOPLE) == 1_000
    assert len({person.id for person in PEOPLE}) == 1_000
    assert all(person.name and person.city for person in PEOPLE)


def test_sixty_recipients_have_one_fault_each() -> None:
    hit = Counter(person for order in fault_orders(PEOPLE, "token") for person in order.recipients or ())

    assert len(hit) == 60
    assert set(hit.values()) == {1}


def test_the_token_expires_for_the_last_recipients_of_the_file() -> None:
    expired = [order for order in fault_orders(PEOPLE, "token") if order.token == "token"]

    assert [order.recipients for order in expired] == [tuple(person.id for person in PEOPLE[-EXPIRED_FOR:])]
