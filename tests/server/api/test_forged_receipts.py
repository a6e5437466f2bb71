"""Receipts that the holder of the webhook endpoint's token can and cannot forge."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from redrive.v1.delivery_service_pb2 import GetMessageRequest, ListDeliveriesRequest
from redrive.v1.message_pb2 import Counts
from redrive.v1.receipt_service_pb2 import Receipt, RecordReceiptsRequest, RecordReceiptsResponse
from server.auth.caller import Scope
from server.crypto.key_ring import new_key
from server.crypto.keyed_ids import older_message_id
from server.crypto.vault import Vault
from tests.builders import UNCONFIRMED
from tests.keyed_ids import IDS
from tests.server.api.edge import Edge
from tests.server.api.known_callers import Callers, guarded_edge, token_metadata
from tests.server.api.receipts import DELIVERED, PEOPLE, READ, at, came, echo
from tests.server.api.refusals import refusal_of
from tests.server.api.requests import send_request

REQUEST_ID = "r-1"


@pytest.fixture
def callers(tmp_path: Path) -> Callers:
    return Callers(tmp_path)


@pytest.fixture
async def guarded(callers: Callers) -> AsyncIterator[Edge]:
    async with guarded_edge(callers) as edge:
        yield edge


@pytest.fixture
async def theirs(guarded: Edge, callers: Callers) -> str:
    """Create another owner's message: Ann and Bob are unconfirmed, Cid was sent to; return its id."""
    sender = token_metadata(callers.token("crm", Scope.SEND))
    request = send_request(*PEOPLE, request_id=REQUEST_ID)
    message_id = (await guarded.delivery.Send(request, metadata=sender)).message.id
    await guarded.deliver(message_id, {"ann": UNCONFIRMED, "bob": UNCONFIRMED})
    return message_id


async def record(guarded: Edge, callers: Callers, *receipts: Receipt) -> RecordReceiptsResponse:
    webhooks = token_metadata(callers.token("webhooks", Scope.RECEIPTS))
    return await guarded.receipts.RecordReceipts(RecordReceiptsRequest(receipts=receipts), metadata=webhooks)


async def counts(guarded: Edge, callers: Callers, message_id: str) -> Counts:
    reader = token_metadata(callers.token("crm", Scope.READ))
    return (await guarded.delivery.GetMessage(GetMessageRequest(message_id=message_id), metadata=reader)).message.counts


UNCHANGED = Counts(total=3, sent=1, unconfirmed=2)


async def test_a_token_without_the_receipts_scope_records_no_receipts(guarded: Edge, callers: Callers) -> None:
    """In the earlier release the scope `pages` allowed it; the refusal names the required scope."""
    others = [scope for scope in Scope if scope not in (Scope.RECEIPTS, Scope.ADMIN)]
    request = RecordReceiptsRequest(receipts=[echo("m-1", "ann")])

    refused = await refusal_of(
        guarded.receipts.RecordReceipts(request, metadata=token_metadata(callers.token("w", *others)))
    )

    assert (refused.code, refused.info.reason) == (grpc.StatusCode.PERMISSION_DENIED, "SCOPE_MISSING")
    assert refused.info.metadata["scope"] == "receipts"


async def test_a_message_id_cannot_be_computed_from_its_owner_and_request(theirs: str) -> None:
    assert theirs != older_message_id("crm", REQUEST_ID)
    assert theirs == IDS.new_message("crm", REQUEST_ID)
    assert theirs != Vault(new_key()).ids.new_message("crm", REQUEST_ID)


async def test_forged_metadata_has_no_effect(guarded: Edge, callers: Callers, theirs: str) -> None:
    reckoned = older_message_id("crm", REQUEST_ID)
    ann, bob = (IDS.delivery(theirs, 1, position) for position in (0, 1))
    made_up = [
        *(f"{reckoned}.1.0", f"{theirs}.1.0", f"{theirs}.1.0.{'0' * 20}", f"{theirs}.1.0.{bob.rpartition('.')[2]}"),
        *(Vault(new_key()).ids.delivery(theirs, 1, 0), ann.upper(), f"{ann}0", ann[:-1], f"{ann} ", "order-7"),
    ]

    answer = await record(guarded, callers, *(echo(theirs, "ann", delivery_id=text) for text in made_up))

    assert answer == RecordReceiptsResponse(unmatched=len(made_up))
    assert await counts(guarded, callers, theirs) == UNCHANGED


@pytest.mark.parametrize(
    "mismatch",
    [
        {"page_id": "2002"},
        {"recipient_id": "bob"},
        {"recipient_id": "cid"},
        {"recipient_id": "dora"},
        {"recipient_id": "ANN"},
        {"recipient_id": "ann."},
        {"page_id": "2002", "recipient_id": "bob"},
    ],
)
async def test_an_echo_counts_only_for_the_deliverys_page_and_recipient(
    guarded: Edge, callers: Callers, theirs: str, mismatch: dict[str, Any]
) -> None:
    assert await record(guarded, callers, echo(theirs, "ann", **mismatch)) == RecordReceiptsResponse(unmatched=1)
    assert await counts(guarded, callers, theirs) == UNCHANGED

    assert await record(guarded, callers, echo(theirs, "ann")) == RecordReceiptsResponse(recorded=1)
    assert await counts(guarded, callers, theirs) == Counts(total=3, sent=2, unconfirmed=1)


@pytest.mark.parametrize("kind", [DELIVERED, READ])
@pytest.mark.parametrize("mismatch", [{"page_id": "2002"}, {"recipient_id": "bob"}, {"recipient_id": "dora"}])
@pytest.mark.parametrize("named", [{"provider_message_id": "m_ann1"}, {"watermark": at(1e6)}])
async def test_a_receipt_counts_only_for_the_deliverys_page_and_recipient(
    guarded: Edge, callers: Callers, theirs: str, kind: Any, mismatch: dict[str, str], named: dict[str, Any]
) -> None:
    await record(guarded, callers, echo(theirs, "ann"))

    answer = await record(guarded, callers, came(kind, "ann", **{**named, **mismatch}))

    assert answer == RecordReceiptsResponse(unmatched=1)
    assert await record(guarded, callers, came(kind, "ann", **named)) == RecordReceiptsResponse(recorded=1)


async def test_the_answer_does_not_reveal_whether_a_message_exists(
    guarded: Edge, callers: Callers, theirs: str
) -> None:
    """Correct ids without the tag, and deliveries of messages that were never sent."""
    real = [echo(theirs, who, delivery_id=f"{theirs}.1.{place}") for place, who in enumerate(PEOPLE)]
    none = [echo(IDS.new_message("crm", f"r-{n}"), "ann") for n in range(7, 10)]

    answers = [await record(guarded, callers, *forged) for forged in (real, none)]

    assert answers == [RecordReceiptsResponse(unmatched=3)] * 2
    assert [field.name for field in RecordReceiptsResponse.DESCRIPTOR.fields] == [
        "recorded",
        "already_known",
        "unmatched",
    ]


async def test_the_listed_id_of_a_delivery_is_the_one_in_its_echo(guarded: Edge, callers: Callers, theirs: str) -> None:
    reader = token_metadata(callers.token("crm", Scope.READ))
    listed = await guarded.delivery.ListDeliveries(ListDeliveriesRequest(message_id=theirs), metadata=reader)
    ids = {delivery.recipient_id: delivery.id for delivery in listed.deliveries}

    assert await record(guarded, callers, echo(theirs, "bob", delivery_id=ids["bob"])) == RecordReceiptsResponse(
        recorded=1
    )


async def test_receipts_for_messages_of_the_earlier_release_are_matched_by_page_and_recipient(
    guarded: Edge, callers: Callers
) -> None:
    """Their deliveries were sent without a tag."""
    older = older_message_id("crm", REQUEST_ID)
    await guarded.submit_as("crm", older)

    other = [echo(older, "ann", page_id="2002"), echo(older, "ann", recipient_id="bob")]
    assert await record(guarded, callers, *other) == RecordReceiptsResponse(unmatched=2)
    assert await record(guarded, callers, echo(older, "ann")) == RecordReceiptsResponse(recorded=1)
