"""Send: a message is accepted completely and once, or not at all."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from domain.commands import Recipient
from domain.content import Content
from domain.errors import PageNotRegistered, RequestIdReused
from domain.retry import OnUnconfirmed
from domain.streams import page_stream
from tests.builders import FAILED, PAGE, SENT, after, auto, crowd, page_held, people, send_message
from tests.server.commands.command_harness import CommandHarness


async def test_a_message_is_put_into_batches_of_a_hundred(harness: CommandHarness) -> None:
    message_id = await harness.send(crowd(250), title="Spring sale", retry_policy=auto(2))

    row = await harness.row(message_id)
    assert harness.vault.labels.titles.open(row.title, message_id) == "Spring sale"
    assert (row.page_id, row.retry_policy, row.status) == (PAGE, auto(2), "PENDING")
    assert (row.total, row.batches_total) == (250, 3)
    assert [batch.total for batch in await harness.batches(message_id)] == [100, 100, 50]
    assert await harness.taken(message_id, round_=0) == [who.id for who in crowd(250)]


@pytest.mark.parametrize(
    "fields",
    [
        {"on_unconfirmed": OnUnconfirmed.RESEND, "title": "Spring sale", "request_id": "r-1"},
        {"schedule_time": after(3_600), "retry_policy": auto(2)},
        {"schedule_time": datetime(1960, 1, 1, tzinfo=UTC)},
    ],
    ids=["request id", "scheduled", "long ago"],
)
async def test_the_answer_shows_the_message_that_a_read_finds(harness: CommandHarness, fields: dict[str, Any]) -> None:
    answer = await harness.sends.send(send_message(**fields), [*crowd(250), *crowd(1)])

    assert answer.message == await harness.row(answer.message.message_id)
    assert answer.duplicates_dropped == 1


async def test_the_answer_shows_that_the_page_is_on_hold(harness: CommandHarness) -> None:
    await harness.append(page_stream(PAGE), 1, page_held())

    answer = await harness.sends.send(send_message(), crowd(3))

    assert answer.message.page_hold is not None
    assert answer.message == await harness.row(answer.message.message_id)


async def test_a_send_reads_once_and_commits_once(harness: CommandHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    for name in ("read", "load", "recorded_in", "commit"):
        _note_calls(monkeypatch, harness.log, name, calls)

    await harness.sends.send(send_message(request_id="r-1"), crowd(3))

    assert calls == ["read", "commit"]


def _note_calls(monkeypatch: pytest.MonkeyPatch, log: Any, name: str, calls: list[str]) -> None:
    method = getattr(log, name)

    async def noted(*arguments: Any, **fields: Any) -> Any:
        calls.append(name)
        return await method(*arguments, **fields)

    monkeypatch.setattr(log, name, noted)


async def test_a_duplicate_recipient_in_the_request_is_sent_to_once(harness: CommandHarness) -> None:
    twice = [Recipient(id="ann", name="Ann"), Recipient(id="bob"), Recipient(id="ann", name="Another Ann")]

    answer = await harness.sends.send(send_message(), twice)

    assert (answer.message.total, answer.duplicates_dropped) == (2, 1)
    created = await harness.created(answer.message.message_id, round_=0)
    assert [who.id for who in created[0].recipients] == ["ann", "bob"]
    assert await harness.names(answer.message.message_id) == {"ann": "Ann", "bob": ""}


async def test_only_variables_that_the_text_uses_are_stored(harness: CommandHarness) -> None:
    ann = Recipient(id="ann", name="Ann", variables={"city": "Hanoi", "debts": "all of them"})
    message_id = await harness.send([ann, *people("bob")], text="{{name}} of {{city}}")

    created = (await harness.created(message_id, round_=0))[0]

    assert await harness.variables(created) == [{"city": "Hanoi"}, {}]


async def test_a_page_that_is_not_registered_sends_nothing(harness: CommandHarness) -> None:
    before = await harness.contents()

    with pytest.raises(PageNotRegistered):
        await harness.send(crowd(1), page_id="2002")

    assert await harness.contents() == before


# Repeated requests


async def test_a_repeated_request_gets_the_first_answer(harness: CommandHarness) -> None:
    command, recipients = send_message(request_id="r-1"), people("ann", "bob", "ann")
    first = await harness.sends.send(command, recipients)
    before = await harness.contents()

    again = await harness.sends.send(command, recipients)

    assert again == first
    assert again.duplicates_dropped == 1
    assert await harness.contents() == before


async def test_a_repeated_request_is_answered_with_the_current_message(harness: CommandHarness) -> None:
    command, recipients = send_message(request_id="r-1"), people("ann", "bob")
    first = await harness.sends.send(command, recipients)
    await harness.deliver(first.message.message_id, {"ann": FAILED, "bob": SENT})

    again = await harness.sends.send(command, recipients)

    assert again.message == await harness.row(first.message.message_id)
    assert again.message.status == "SENDING"


@pytest.mark.parametrize(
    "other",
    [
        {"title": "another"},
        {"content": Content(text="another")},
        {"content": Content(text="Hello {{name}}", tag="ACCOUNT_UPDATE")},
        {"retry_policy": auto()},
        {"on_unconfirmed": OnUnconfirmed.RESEND},
    ],
)
async def test_the_same_request_id_for_another_request_is_refused(
    harness: CommandHarness, other: dict[str, Any]
) -> None:
    await harness.send(people("ann"), request_id="r-1")
    before = await harness.contents()

    with pytest.raises(RequestIdReused):
        await harness.send(people("ann"), request_id="r-1", **other)

    assert await harness.contents() == before


@pytest.mark.parametrize(
    "recipients",
    [
        people("ann"),
        people("bob", "ann"),
        people("ann", "bob", "bob"),
        [*people("ann"), Recipient(id="bob", name="Robert")],
        [*people("ann"), Recipient(id="bob", name="Bob", variables={"city": "Hue"})],
    ],
)
async def test_the_same_request_id_for_other_recipients_is_refused(
    harness: CommandHarness, recipients: list[Recipient]
) -> None:
    await harness.send(people("ann", "bob"), request_id="r-1")

    with pytest.raises(RequestIdReused):
        await harness.send(recipients, request_id="r-1")


async def test_the_order_of_variables_does_not_matter(harness: CommandHarness) -> None:
    one = [Recipient(id="ann", variables={"a": "1", "b": "2"})]
    same = [Recipient(id="ann", variables={"b": "2", "a": "1"})]

    assert await harness.send(one, request_id="r-1") == await harness.send(same, request_id="r-1")


async def test_two_owners_may_use_the_same_request_id(harness: CommandHarness) -> None:
    await harness.share_page("another-owner")
    ours = await harness.send(people("ann"), request_id="r-1")
    theirs = await harness.send(people("ann"), request_id="r-1", owner="another-owner")

    assert ours != theirs
    assert len(await harness.messages("another-owner")) == 1


async def test_without_a_request_id_every_request_is_a_message(harness: CommandHarness) -> None:
    assert await harness.send(people("ann")) != await harness.send(people("ann"))


async def test_many_concurrent_equal_requests_make_one_message(harness: CommandHarness) -> None:
    command, recipients = send_message(request_id="r-1"), crowd(150)

    answers = await asyncio.gather(*(harness.sends.send(command, recipients) for _ in range(8)))

    assert len({answer.message.message_id for answer in answers}) == 1
    assert [message.total for message in await harness.messages()] == [150]


async def test_two_concurrent_requests_with_one_id_make_one_message_and_one_refusal(harness: CommandHarness) -> None:
    commands = [send_message(request_id="r-1", title=title) for title in ("one", "two")]

    answers = await asyncio.gather(
        *(harness.sends.send(command, people("ann")) for command in commands), return_exceptions=True
    )

    assert sorted(type(answer).__name__ for answer in answers) == ["RequestIdReused", "SendAnswer"]
    assert len(await harness.messages()) == 1


# Dry runs


async def test_a_dry_run_answers_the_result_and_changes_nothing(harness: CommandHarness) -> None:
    before = await harness.contents()

    answer = await harness.sends.send(send_message(validate_only=True, title="Dry"), [*crowd(101), *crowd(1)])

    assert await harness.contents() == before
    message = answer.message
    assert (message.message_id, message.title, message.status) == ("", "Dry", "PENDING")
    assert (message.total, message.batches_total, answer.duplicates_dropped) == (101, 2, 1)


async def test_a_dry_run_for_an_unknown_page_is_refused(harness: CommandHarness) -> None:
    with pytest.raises(PageNotRegistered):
        await harness.send(crowd(1), page_id="2002", validate_only=True)


async def test_a_dry_run_does_not_use_up_its_request_id(harness: CommandHarness) -> None:
    await harness.send(people("ann"), request_id="r-1", validate_only=True)

    message_id = await harness.send(people("bob"), request_id="r-1")

    assert [message.message_id for message in await harness.messages()] == [message_id]
