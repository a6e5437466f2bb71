"""The measured reads: first and later pages, with and without filters, at positions drawn at random."""

import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

from redrive import Client
from redrive.calls.listing import Item, Listing, ListResponse
from redrive.v1.delivery_pb2 import DeliveryStatus
from redrive.v1.error_pb2 import ErrorType
from redrive.v1.message_pb2 import Message, MessageStatus

FAILED, UNCONFIRMED = DeliveryStatus.DELIVERY_STATUS_FAILED, DeliveryStatus.DELIVERY_STATUS_UNCONFIRMED
NETWORK, RARE = ErrorType.ERROR_TYPE_NETWORK, ErrorType.ERROR_TYPE_OTHER
PAGE = 100  # rows; the server's default page size
FULL_PAGE = 1_000


class Case(NamedTuple):
    """One measured call."""

    rpc: str
    what: str
    call: Callable[[], Awaitable[object]]


class Known(NamedTuple):
    """Contents of the archive: its messages, the largest one, the one with most failures, and page tokens."""

    messages: Sequence[Message]
    largest: Message
    failing: Message
    recipients: Sequence[str]
    message_pages: Sequence[str]
    summary_pages: Sequence[str]
    delivery_pages: Sequence[str]
    failed_delivery_pages: Sequence[str]
    failed_pages: Sequence[str]


async def explore(client: Client) -> Known:
    """Read each list once."""
    messages, message_pages = await _walk(client.list_messages())
    largest = max(messages, key=lambda message: message.counts.total)
    failing = max(messages, key=lambda message: message.counts.failed)
    deliveries, delivery_pages = await _walk(client.list_deliveries(largest.id))
    _, failed_delivery_pages = await _walk(client.list_deliveries(largest.id, statuses=[FAILED]))
    _, failed_pages = await _walk(client.list_failed(failing.id))
    _, summary_pages = await _walk(client.summarize_failures(page_size=PAGE))
    return Known(
        messages=messages,
        largest=largest,
        failing=failing,
        recipients=[delivery.recipient_id for delivery in deliveries],
        message_pages=message_pages,
        summary_pages=summary_pages,
        delivery_pages=delivery_pages,
        failed_delivery_pages=failed_delivery_pages,
        failed_pages=failed_pages,
    )


async def _walk(listing: Listing[ListResponse, Item]) -> tuple[list[Item], list[str]]:
    """Return items of all pages (100 per page from the fourth page on) and all page tokens."""
    items: list[Item] = []
    tokens: list[str] = []
    async for answer in listing.pages():
        items += listing.items_of(answer)[:PAGE] if len(tokens) > 2 else listing.items_of(answer)
        if answer.next_page_token:
            tokens.append(answer.next_page_token)
    return items, tokens or [""]


def cases(client: Client, known: Known, chance: random.Random) -> Sequence[Case]:
    """Return all measured cases."""
    return [
        *_of_messages(client, known, chance),
        *_of_failed(client, known, chance),
        *_of_deliveries(client, known, chance),
        *_of_summaries(client, known, chance),
    ]


def _of_messages(client: Client, known: Known, chance: random.Random) -> Sequence[Case]:
    def listed(tokens: Sequence[str] = ("",), page_size: int = PAGE, **wanted: Any) -> Callable[[], Awaitable[object]]:
        return lambda: client.list_messages(page_size=page_size, **wanted).page(chance.choice(tokens))

    def of_a_page() -> Awaitable[object]:
        page_id = chance.choice(known.messages).page_id
        return client.list_messages(page_id=page_id, page_size=PAGE).page()

    return [
        Case("GetMessage", "any", lambda: client.get_message(chance.choice(known.messages).id)),
        Case("ListMessages", "first page", listed()),
        Case("ListMessages", "a later page", listed(known.message_pages)),
        Case("ListMessages", "a later page of 1,000", listed(known.message_pages, FULL_PAGE)),
        Case("ListMessages", "of one page", of_a_page),
        Case("ListMessages", "status SENT", listed(statuses=[MessageStatus.MESSAGE_STATUS_SENT])),
        Case("ListMessages", "a status that none has", listed(statuses=[MessageStatus.MESSAGE_STATUS_PENDING])),
        Case("ListMessages", "with failures", listed(with_failures=True)),
    ]


def _of_failed(client: Client, known: Known, chance: random.Random) -> Sequence[Case]:
    def listed(tokens: Sequence[str] = ("",), page_size: int = PAGE, **wanted: Any) -> Callable[[], Awaitable[object]]:
        return lambda: client.list_failed(known.failing.id, page_size=page_size, **wanted).page(chance.choice(tokens))

    return [
        Case("ListFailed", "first page", listed()),
        Case("ListFailed", "a later page", listed(known.failed_pages)),
        Case("ListFailed", "a later page of 1,000", listed(known.failed_pages, FULL_PAGE)),
        Case("ListFailed", "an error type", listed(error_types=[NETWORK])),
        Case("ListFailed", "an error type that few have", listed(error_types=[RARE])),
        Case("ListFailed", "retryable only", listed(retryable_only=True)),
    ]


def _of_deliveries(client: Client, known: Known, chance: random.Random) -> Sequence[Case]:
    def listed(tokens: Sequence[str] = ("",), page_size: int = PAGE, **wanted: Any) -> Callable[[], Awaitable[object]]:
        listing = client.list_deliveries(known.largest.id, page_size=page_size, **wanted)
        return lambda: listing.page(chance.choice(tokens))

    def of_a_recipient() -> Awaitable[object]:
        return client.list_deliveries(known.largest.id, recipient_id=chance.choice(known.recipients)).page()

    return [
        Case("ListDeliveries", "first page", listed()),
        Case("ListDeliveries", "a later page", listed(known.delivery_pages)),
        Case("ListDeliveries", "a later page of 1,000", listed(known.delivery_pages, FULL_PAGE)),
        Case("ListDeliveries", "of one recipient", of_a_recipient),
        Case("ListDeliveries", "FAILED, a later page", listed(known.failed_delivery_pages, statuses=[FAILED])),
        Case(
            "ListDeliveries",
            "FAILED, a later page of 1,000",
            listed(known.failed_delivery_pages, FULL_PAGE, statuses=[FAILED]),
        ),
        Case("ListDeliveries", "UNCONFIRMED, and there are none", listed(statuses=[UNCONFIRMED])),
        Case("ListDeliveries", "an error type", listed(error_types=[NETWORK])),
        Case("ListDeliveries", "an error type, 1,000", listed(page_size=FULL_PAGE, error_types=[NETWORK])),
        Case("ListDeliveries", "an error type that few have", listed(error_types=[RARE])),
        Case("ListDeliveries", "UNCONFIRMED of an error type", listed(statuses=[UNCONFIRMED], error_types=[NETWORK])),
    ]


def _of_summaries(client: Client, known: Known, chance: random.Random) -> Sequence[Case]:
    def summed_up(tokens: Sequence[str] = ("",), **wanted: Any) -> Callable[[], Awaitable[object]]:
        listing = client.summarize_failures(**{"page_size": PAGE, **wanted})
        return lambda: listing.page(chance.choice(tokens))

    def named(count: int) -> Callable[[], Awaitable[object]]:
        ids = [message.id for message in known.messages]
        return lambda: client.summarize_failures(message_ids=chance.sample(ids, count)).page()

    return [
        Case("SummarizeFailures", "first page", summed_up()),
        Case("SummarizeFailures", "a later page", summed_up(known.summary_pages)),
        Case("SummarizeFailures", "of one page", summed_up(page_id=known.largest.page_id)),
        Case("SummarizeFailures", "the message that failed most", summed_up(message_ids=[known.failing.id])),
        Case("SummarizeFailures", "100 named messages", named(min(100, len(known.messages)))),
        Case("SummarizeFailures", "1,000 messages", summed_up(page_size=FULL_PAGE)),
    ]
