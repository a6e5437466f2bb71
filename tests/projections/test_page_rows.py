"""Pages, their holds and their owners as readers find them, and the messages of a page."""

from domain.fault import ErrorType
from domain.owner import ANY_OWNER
from domain.page_events import Hold, PageHeld
from domain.streams import page_stream
from projections import message_rows, pages
from server.eventstore.commit import StreamEvents
from tests.builders import (
    DEAD_TOKEN,
    FAILED,
    MESSAGE,
    NOW,
    OWNER,
    PAGE,
    SENT,
    auto,
    message_paused,
    page_held,
    page_registered,
    page_released,
    page_settings_changed,
    page_shared,
    page_token_replaced,
    page_transferred,
)
from tests.projections.driven_store import DrivenStore


def row(db: DrivenStore, page_id: str = PAGE) -> pages.PageRow:
    found = db.ask(lambda sql: pages.find(sql, page_id))
    assert found is not None
    return found


def usable(db: DrivenStore, wanted: str, *, after: str = "") -> list[str]:
    return [page.page_id for page in db.ask(lambda sql: pages.list_usable(sql, wanted, after=after, limit=10))]


def test_a_page_shows_its_settings_and_its_token_generation(db: DrivenStore) -> None:
    db.append_to_page(
        0,
        page_registered(),
        page_settings_changed(name="Shop", messages_per_second=50.0, send_mode="BATCH"),
        page_token_replaced(2),
    )

    page = row(db)
    assert (page.name, page.messages_per_second, page.send_mode, page.token_generation) == ("Shop", 50.0, "BATCH", 2)
    assert (page.owner, page.is_held) == (OWNER, False)
    assert db.ask(lambda sql: pages.find(sql, "unknown")) is None
    db.assert_rebuilt_equal()


def test_a_hold_for_a_fault_shows_the_fault_until_the_release(db: DrivenStore) -> None:
    db.append_to_page(0, page_registered(), page_held())
    db.submit(MESSAGE, "ann")

    hold = db.ask(lambda sql: pages.holds(sql, [PAGE, "unknown"]))[PAGE]
    assert (hold.reason, hold.error_code, hold.error_subcode) == ("expired", DEAD_TOKEN.code, DEAD_TOKEN.subcode)
    assert hold.error_type is ErrorType.ACCESS_TOKEN
    assert row(db).hold == hold
    assert db.row().page_hold == hold

    db.append_to_page(2, page_released())
    assert not row(db).is_held
    assert db.ask(lambda sql: pages.holds(sql, [PAGE])) == {}
    assert db.row().page_hold is None


def test_a_hold_by_hand_shows_who_holds_the_page(db: DrivenStore) -> None:
    wish = Hold(reason="a check", held_by="ann")
    db.append_to_page(0, page_registered(), PageHeld(page_id=PAGE, hold=wish, requested_by="ann", time=NOW))

    hold = row(db).hold
    assert hold is not None
    assert (hold.reason, hold.held_by, hold.error_code, hold.error_type) == ("a check", "ann", 0, None)


def test_callers_find_the_pages_that_they_may_use(db: DrivenStore) -> None:
    for page_id, shared in (("a", ("bob",)), ("b", ("carl", "bo")), ("c", (ANY_OWNER,)), ("d", ())):
        db.register_page(page_id)
        db.write(StreamEvents(page_stream(page_id), 1, [page_shared(*shared, page_id=page_id)]))
    db.write(StreamEvents(page_stream("d"), 2, [page_transferred("eve", "bob", page_id="d")]))

    assert usable(db, "bob") == ["a", "c", "d"]
    assert usable(db, "eve") == ["c", "d"]
    assert usable(db, OWNER) == ["a", "b", "c"]
    assert usable(db, ANY_OWNER, after="a") == ["b", "c", "d"]
    assert row(db, "d").shared_with == ("bob",)
    assert row(db, "d").is_open_to("eve")
    assert not row(db, "d").is_open_to(OWNER)
    assert db.ask(pages.count_without_owner) == 0


def test_messages_are_found_for_their_owner_only(db: DrivenStore) -> None:
    db.send(MESSAGE, {"ann": SENT})

    def is_found(owner: str) -> bool:
        return db.ask(lambda sql: message_rows.find_owned(sql, owner, MESSAGE)) is not None

    assert [is_found(owner) for owner in (OWNER, ANY_OWNER, "eve")] == [True, True, False]
    assert db.ask(lambda sql: message_rows.owned_among(sql, OWNER, [MESSAGE, "unknown"])) == {MESSAGE}
    assert list(db.ask(lambda sql: message_rows.find_each(sql, [MESSAGE, "unknown"]))) == [MESSAGE]


def test_the_open_messages_of_a_page_are_found(db: DrivenStore) -> None:
    db.register_page()
    db.send("done", {"ann": SENT}, retry_policy=auto())
    db.send("failed", {"ann": FAILED}, retry_policy=auto())
    db.submit("pending", "ann")
    db.submit("cancelled", "ann")
    db.cancel("cancelled", at=5)
    db.write(db.of_message(db.message("failed"), message_paused(message_id="failed")))

    assert sorted(db.ask(lambda sql: message_rows.open_of_page(sql, PAGE))) == ["cancelled", "failed", "pending"]
    assert db.ask(message_rows.cancelled_with_pending) == ["cancelled"]
    assert db.ask(message_rows.with_canary) == []
    assert db.ask(message_rows.changed_late) == []
