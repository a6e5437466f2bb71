import time
from collections.abc import Awaitable, Callable

import httpx

from server.sandbox.control import SandboxControl
from server.sandbox.record import DUPLICATES_SHOWN, Incoming, RecipientCounts, Record, Repeat
from server.sandbox.runner import running_sandbox
from server.sandbox.settings import SandboxSettings
from server.sandbox.token_book import fingerprint

Send = Callable[..., Awaitable[httpx.Response]]


async def test_an_arrival_has_its_request_and_its_outcome(control: SandboxControl, send: Send) -> None:
    begin = time.time()
    message_id = (await send("u1", page="1001", token="T1", metadata="delivery-1")).json()["message_id"]
    [arrival] = (await control.received()).arrivals
    assert (arrival.number, arrival.recipient, arrival.page, arrival.metadata) == (1, "u1", "1001", "delivery-1")
    assert (arrival.outcome, arrival.accepted, arrival.message_id) == ("accepted", True, message_id)
    assert arrival.token == fingerprint("T1")
    assert begin - 1 <= arrival.time <= time.time() + 1


async def test_the_summary_counts_and_names_duplicates(control: SandboxControl, send: Send) -> None:
    await control.order({"preset": "unknown_recipient", "recipients": ["u3"]})
    for recipient in ("u1", "u2", "u2", "u3", "u3"):
        await send(recipient)
    summary = await control.summary()
    assert (summary.received, summary.accepted) == (5, 3)
    assert summary.by_outcome == {"accepted": 3, "error:100-2018001": 2}
    assert (summary.recipients, summary.recipients_accepted) == (3, 2)
    assert (summary.duplicate_count, summary.duplicates) == (1, ["u2"])


async def test_two_messages_to_the_same_recipient_are_duplicates_and_no_repeats(
    control: SandboxControl, send: Send
) -> None:
    for metadata in ("m1.1.1", "m2.1.1", "m2.1.2", "m2.3.1"):
        await send("u2" if metadata == "m2.1.2" else "u1", metadata=metadata)
    summary = await control.summary()
    assert (summary.duplicate_count, summary.duplicates) == (1, ["u1"])
    assert (summary.repeat_count, summary.repeats) == (1, [Repeat("u1", "m2")])


async def test_messages_without_a_delivery_id_count_as_one(control: SandboxControl, send: Send) -> None:
    for recipient, metadata in (("u1", ""), ("u1", "order-7"), ("u1", "m1.1.x"), ("u2", "")):
        await send(recipient, metadata=metadata)
    assert (await control.summary()).repeats == [Repeat("u1", "")]


async def test_a_message_that_was_refused_before_is_no_repeat(control: SandboxControl, send: Send) -> None:
    await control.order({"preset": "temporary", "times": 1})
    for metadata in ("m1.1.1", "m1.2.1"):
        await send("u1", metadata=metadata)
    assert (await control.summary()).repeat_count == 0


async def test_a_message_accepted_with_an_error_answer_counts_as_accepted(control: SandboxControl, send: Send) -> None:
    await control.order({"preset": "sent_anyway", "times": 1})
    await send("u1")
    await send("u1")
    assert (await control.summary()).duplicates == ["u1"]
    first, _ = (await control.received("u1")).arrivals
    assert (first.outcome, first.accepted) == ("error:1-1357046", True)
    assert first.message_id.startswith("m_")


async def test_arrivals_of_one_recipient_include_its_counts(control: SandboxControl, send: Send) -> None:
    await control.order({"preset": "temporary", "recipients": ["u1"], "times": 1})
    for recipient in ("u1", "u2", "u1"):
        await send(recipient)
    received = await control.received("u1")
    assert [arrival.outcome for arrival in received.arrivals] == ["error:2", "accepted"]
    assert received.counts == RecipientCounts(recipient="u1", received=2, accepted=1)


async def test_arrivals_are_listed_in_pages(control: SandboxControl, send: Send) -> None:
    for number in range(5):
        await send(f"u{number}")
    first = await control.received(limit=3)
    assert first.next_after is not None
    second = await control.received(limit=3, after=first.next_after)
    assert [arrival.number for arrival in first.arrivals + second.arrivals] == [1, 2, 3, 4, 5]
    assert second.next_after is None


async def test_recipients_are_listed_in_pages(control: SandboxControl, send: Send) -> None:
    for recipient in ("u1", "u2", "u1", "u3"):
        await send(recipient)
    first = await control.recipients(limit=2)
    assert first.next_after is not None
    second = await control.recipients(limit=2, after=first.next_after)
    counts = {row.recipient: row.accepted for row in first.recipients + second.recipients}
    assert counts == {"u1": 2, "u2": 1, "u3": 1}
    assert second.next_after is None


async def test_only_the_last_arrivals_are_stored_but_all_are_counted() -> None:
    body = {"message": {"text": "Hello"}, "access_token": "T"}
    async with running_sandbox(SandboxSettings(keep_arrivals=2)) as sandbox, httpx.AsyncClient() as client:
        for number in range(5):
            await client.post(f"{sandbox.url}/1001/messages", json={"recipient": {"id": f"u{number}"}, **body})
        kept = (await sandbox.control.received()).arrivals
        assert [arrival.number for arrival in kept] == [4, 5]
        assert (await sandbox.control.summary()).recipients_accepted == 5


def test_duplicates_are_named_up_to_a_limit_and_counted_beyond() -> None:
    record = Record(keep_arrivals=0)
    for number in range(2 * (DUPLICATES_SHOWN + 7)):
        record.add(Incoming(f"u{number // 2}", "1001", "t"), "", "accepted", accepted=True)
    summary = record.summary()
    assert (len(summary.duplicates), summary.duplicate_count) == (DUPLICATES_SHOWN, DUPLICATES_SHOWN + 7)
    assert (len(summary.repeats), summary.repeat_count) == (DUPLICATES_SHOWN, DUPLICATES_SHOWN + 7)
