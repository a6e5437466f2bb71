"""Owners of pages: the actions of other callers, and the callers named in events and logs."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest
from structlog.testing import capture_logs

from domain.page_events import PageEvent, PageShared
from domain.streams import page_stream
from redrive.v1.delivery_service_pb2 import ListMessagesRequest, ResendRequest, SendStreamRequest
from redrive.v1.page_pb2 import Page, SendMode
from redrive.v1.page_service_pb2 import (
    HoldPageRequest,
    ListPagesRequest,
    PutPageRequest,
    ReleasePageRequest,
    SharePageRequest,
    TransferPageRequest,
)
from redrive.v1.report_service_pb2 import (
    ExportDeliveriesRequest,
    GetDeliveryReportRequest,
    SummarizeFailuresRequest,
)
from server.auth.caller import Scope
from server.messenger.channel import TokenRejected
from server.observability.event_logging import log_events
from tests.builders import DEAD_TOKEN, FAILED, NOW, TOKEN, page_registered
from tests.server.api.edge import Edge, running_edge
from tests.server.api.known_callers import Callers, guarded_edge, token_metadata
from tests.server.api.refusals import Refusal, refusal_of
from tests.server.api.requests import put, send_request, stream_header
from tests.server.api.rpcs import Metadata

THE_PAGE, LEGACY, UNKNOWN = "2002", "3003", "4004"
SCOPES = tuple(scope for scope in Scope if scope is not Scope.ADMIN)


class Known(NamedTuple):
    """Callers with every scope except admin, and an admin."""

    owner: Metadata
    friend: Metadata
    outsider: Metadata
    admin: Metadata


class Owned(NamedTuple):
    """An API with a page of shop that is shared with crm, and a page without an owner."""

    edge: Edge
    known: Known


@pytest.fixture
def callers(tmp_path: Path) -> Callers:
    return Callers(tmp_path)


@pytest.fixture
async def owned(callers: Callers) -> AsyncIterator[Owned]:
    shop, crm, outsider = (token_metadata(callers.token(name, *SCOPES)) for name in ("shop", "crm", "outsider"))
    known = Known(shop, crm, outsider, token_metadata(callers.token("root", Scope.ADMIN)))
    async with guarded_edge(callers) as edge:
        await edge.commit(page_stream(LEGACY), 0, page_registered(LEGACY, requested_by="", name="Legacy"))
        await edge.pages.PutPage(put(page_id=THE_PAGE, name="Shop"), metadata=known.owner)
        await share(edge, known.owner, "crm")
        yield Owned(edge, known)


async def share(edge: Edge, metadata: Metadata, *names: str, page_id: str = THE_PAGE) -> Page:
    request = SharePageRequest(page_id=page_id, shared_with=names)
    return (await edge.pages.SharePage(request, metadata=metadata)).page


async def transfer(edge: Edge, metadata: Metadata, owner: str, page_id: str = THE_PAGE) -> Page:
    request = TransferPageRequest(page_id=page_id, owner=owner)
    return (await edge.pages.TransferPage(request, metadata=metadata)).page


async def send_stream(edge: Edge, page_id: str, metadata: Metadata) -> Any:
    header = SendStreamRequest(header=stream_header(page_id=page_id))
    part = SendStreamRequest()
    part.recipients.recipients.add(id="ann", name="Ann")
    return await edge.delivery.SendStream(iter([header, part]), metadata=metadata)


async def exported(edge: Edge, page_id: str, metadata: Metadata) -> bytes:
    request = ExportDeliveriesRequest(page_id=page_id)
    return b"".join([part.data async for part in edge.reports.ExportDeliveries(request, metadata=metadata)])


Call = Callable[[Edge, str, Metadata], Awaitable[Any]]

CHANGES: Mapping[str, Call] = {
    "replace the token": lambda edge, page_id, who: edge.pages.PutPage(
        put(page_id=page_id, access_token="EAAG-another"), metadata=who
    ),
    "rename": lambda edge, page_id, who: edge.pages.PutPage(PutPageRequest(page_id=page_id, name="Mine"), metadata=who),
    "slow down": lambda edge, page_id, who: edge.pages.PutPage(
        PutPageRequest(page_id=page_id, messages_per_second=0.1), metadata=who
    ),
    "another mode": lambda edge, page_id, who: edge.pages.PutPage(
        PutPageRequest(page_id=page_id, send_mode=SendMode.SEND_MODE_BATCH), metadata=who
    ),
    "hold": lambda edge, page_id, who: edge.pages.HoldPage(HoldPageRequest(page_id=page_id), metadata=who),
    "release": lambda edge, page_id, who: edge.pages.ReleasePage(ReleasePageRequest(page_id=page_id), metadata=who),
}
PUTS = ("replace the token", "rename", "slow down", "another mode")
USES: Mapping[str, Call] = {
    "send": lambda edge, page_id, who: edge.delivery.Send(send_request(page_id=page_id), metadata=who),
    "try": lambda edge, page_id, who: edge.delivery.Send(
        send_request(page_id=page_id, validate_only=True), metadata=who
    ),
    "stream": send_stream,
    "report": lambda edge, page_id, who: edge.reports.GetDeliveryReport(
        GetDeliveryReportRequest(page_id=page_id), metadata=who
    ),
    "export": exported,
}
EVERY: Mapping[str, Call] = {**CHANGES, **USES}
SHARES: Mapping[str, Call] = {"share": lambda edge, page_id, who: share(edge, who, "crm", page_id=page_id)}


async def events_of(edge: Edge, page_id: str = THE_PAGE) -> list[PageEvent]:
    return [event for event in await edge.log.load(page_stream(page_id)) if isinstance(event, PageEvent)]


def answer(refusal: Refusal, page_id: str) -> tuple[object, ...]:
    """Return everything that the caller gets, except the id that it sent."""
    violations = [str(violation).replace(page_id, "ID") for violation in refusal.precondition.violations]
    return refusal.code, refusal.info.reason, refusal.message.replace(page_id, "ID"), violations


# Other callers


async def test_another_caller_changes_nothing_of_a_page(owned: Owned) -> None:
    edge, known = owned
    before = await events_of(edge)

    refusals = {what: await refusal_of(call(edge, THE_PAGE, known.outsider)) for what, call in CHANGES.items()}

    not_yours = (grpc.StatusCode.PERMISSION_DENIED, "PAGE_NOT_YOURS")
    not_found = (grpc.StatusCode.NOT_FOUND, "PAGE_NOT_FOUND")
    for what, refusal in refusals.items():
        assert (refusal.code, refusal.info.reason) == (not_yours if what in PUTS else not_found), what
        assert "shop" not in f"{refusal.message} {refusal.info}"
    assert await events_of(edge) == before


async def test_another_callers_page_looks_like_an_unknown_one(owned: Owned) -> None:
    edge, known = owned
    for what, call in {**EVERY, **SHARES}.items():
        if what in PUTS:
            continue
        theirs = await refusal_of(call(edge, THE_PAGE, known.outsider))
        nothing = await refusal_of(call(edge, UNKNOWN, known.outsider))

        assert answer(theirs, THE_PAGE) == answer(nothing, UNKNOWN), what


async def test_the_token_of_another_callers_page_is_not_tried(owned: Owned) -> None:
    owned.edge.channel.token_check = TokenRejected(DEAD_TOKEN)

    refusal = await refusal_of(CHANGES["replace the token"](owned.edge, THE_PAGE, owned.known.outsider))

    assert refusal.info.reason == "PAGE_NOT_YOURS"


async def test_lists_show_the_callers_own_pages_those_shared_with_it_and_those_without_owner(owned: Owned) -> None:
    edge, known = owned
    await edge.pages.PutPage(put(page_id="5005"), metadata=known.outsider)

    async def listed(who: Metadata) -> list[str]:
        first = await edge.pages.ListPages(ListPagesRequest(page_size=1), metadata=who)
        request = ListPagesRequest(page_token=first.next_page_token)
        rest = await edge.pages.ListPages(request, metadata=who)
        return [page.id for page in (*first.pages, *rest.pages)]

    assert await listed(known.owner) == await listed(known.friend) == ["1001", THE_PAGE, LEGACY, "5005"]
    await share(edge, known.outsider, page_id="5005")
    assert await listed(known.owner) == await listed(known.friend) == ["1001", THE_PAGE, LEGACY]
    assert await listed(known.outsider) == ["1001", LEGACY, "5005"]
    assert await listed(known.admin) == ["1001", THE_PAGE, LEGACY, "5005"]


@pytest.mark.parametrize("name", ["cr", "rm", "crm2", "c_m", "%", "c*", "C"])
async def test_a_similar_name_shares_nothing(callers: Callers, owned: Owned, name: str) -> None:
    alike = token_metadata(callers.token(name, *SCOPES))

    listed = await owned.edge.pages.ListPages(ListPagesRequest(), metadata=alike)

    assert [page.id for page in listed.pages] == ["1001", LEGACY]


async def test_a_page_registered_by_two_callers_concurrently_has_one_owner(owned: Owned) -> None:
    edge, known = owned
    requests = (edge.pages.PutPage(put(page_id="5005"), metadata=who) for who in (known.owner, known.outsider))

    answers = await asyncio.gather(*requests, return_exceptions=True)

    assert sum(isinstance(one, grpc.aio.AioRpcError) for one in answers) == 1
    assert len(await events_of(edge, "5005")) == 1


# The owner, callers with a share, and an admin


@pytest.mark.parametrize("who", ["owner", "friend", "admin"])
async def test_a_caller_with_access_to_a_page_may_use_every_call(owned: Owned, who: str) -> None:
    for call in EVERY.values():
        await call(owned.edge, THE_PAGE, getattr(owned.known, who))


async def test_a_share_does_not_replace_a_scope(owned: Owned, callers: Callers) -> None:
    sender = token_metadata(callers.token("crm", Scope.SEND))

    await USES["send"](owned.edge, THE_PAGE, sender)
    refusal = await refusal_of(CHANGES["hold"](owned.edge, THE_PAGE, sender))

    assert refusal.info.reason == "SCOPE_MISSING"


async def test_a_page_shows_its_owner_and_its_shares(owned: Owned) -> None:
    page = await share(owned.edge, owned.known.owner, "ops", "crm", "shop", "crm")

    assert (page.owner, list(page.shared_with)) == ("shop", ["crm", "ops"])


async def test_an_owner_can_end_a_share(owned: Owned) -> None:
    edge, known = owned
    await share(edge, known.owner)

    for what, call in EVERY.items():
        assert (await refusal_of(call(edge, THE_PAGE, known.friend))).code is not grpc.StatusCode.OK, what


async def test_a_caller_with_a_share_cannot_share_the_page(owned: Owned) -> None:
    refusal = await refusal_of(share(owned.edge, owned.known.friend, "crm", "outsider"))

    assert (refusal.code, refusal.info.reason) == (grpc.StatusCode.PERMISSION_DENIED, "PAGE_NOT_YOURS_TO_SHARE")


async def test_only_an_admin_transfers_a_page(owned: Owned) -> None:
    edge, known = owned
    for who in known[:3]:
        assert (await refusal_of(transfer(edge, who, "crm"))).info.reason == "SCOPE_MISSING"

    page = await transfer(edge, known.admin, "crm")

    assert (page.owner, list(page.shared_with)) == ("crm", [])
    assert (await refusal_of(EVERY["hold"](edge, THE_PAGE, known.owner))).info.reason == "PAGE_NOT_FOUND"
    assert (await share(edge, known.friend, "shop")).shared_with == ["shop"]


async def test_an_admin_shares_every_page(owned: Owned) -> None:
    page = await share(owned.edge, owned.known.admin, "crm", "outsider")

    assert (page.owner, list(page.shared_with)) == ("shop", ["crm", "outsider"])
    await EVERY["send"](owned.edge, THE_PAGE, owned.known.outsider)


async def test_a_page_shared_with_all_can_be_used_but_not_changed_by_every_caller(owned: Owned) -> None:
    edge, known = owned

    page = (await edge.pages.PutPage(put(page_id="5005"), metadata=known.admin)).page

    assert (page.owner, list(page.shared_with)) == ("root", ["*"])
    for call in USES.values():
        await call(edge, "5005", known.outsider)
    for what, call in CHANGES.items():
        refusal = await refusal_of(call(edge, "5005", known.outsider))
        assert (refusal.code, refusal.info.reason) == (grpc.StatusCode.PERMISSION_DENIED, "PAGE_NOT_YOURS"), what
    await share(edge, known.admin, "shop", page_id="5005")
    assert (await refusal_of(USES["send"](edge, "5005", known.outsider))).info.reason == "PAGE_NOT_REGISTERED"
    await share(edge, known.admin, "shop", "*", page_id="5005")
    await USES["send"](edge, "5005", known.outsider)
    await CHANGES["hold"](edge, "5005", known.owner)


async def test_an_admins_change_does_not_change_the_owner(owned: Owned) -> None:
    changed = await CHANGES["rename"](owned.edge, THE_PAGE, owned.known.admin)

    assert (changed.page.name, changed.page.owner) == ("Mine", "shop")


async def test_a_page_cannot_be_transferred_to_all_callers(owned: Owned) -> None:
    refusal = await refusal_of(transfer(owned.edge, owned.known.admin, "*"))

    assert list(refusal.violations) == ["owner"]


@pytest.mark.parametrize("names", [[""], ["two words"], ["a\x00"], ["x" * 129], ["\u2028"]])
async def test_an_invalid_caller_name_is_refused(owned: Owned, names: list[str]) -> None:
    refusal = await refusal_of(share(owned.edge, owned.known.owner, "crm", *names))
    moved = await refusal_of(transfer(owned.edge, owned.known.admin, names[0]))

    assert list(refusal.violations) == ["shared_with[1]"]
    assert list(moved.violations) == ["owner"]


async def test_a_page_is_shared_with_at_most_100(owned: Owned) -> None:
    assert len((await share(owned.edge, owned.known.owner, *map(str, range(100)))).shared_with) == 100

    refusal = await refusal_of(share(owned.edge, owned.known.owner, *map(str, range(101))))

    assert list(refusal.violations) == ["shared_with"]


async def test_a_repeated_request_is_the_same_share(owned: Owned) -> None:
    edge, known = owned
    request = SharePageRequest(page_id=THE_PAGE, shared_with=["b", "a"], request_id="r-1")
    await edge.pages.SharePage(request, metadata=known.owner)
    await share(edge, known.owner, "c")

    again = await edge.pages.SharePage(request, metadata=known.owner)
    request.shared_with.append("d")
    other = await refusal_of(edge.pages.SharePage(request, metadata=known.owner))

    assert list(again.page.shared_with) == ["c"]
    assert other.info.reason == "REQUEST_ID_REUSED"


async def test_a_repeat_does_not_show_the_page_to_its_former_owner(owned: Owned) -> None:
    edge, known = owned
    requests = (put(page_id=THE_PAGE, access_token="", messages_per_second=5, request_id="r-1"),)
    await edge.pages.PutPage(requests[0], metadata=known.owner)
    hold = HoldPageRequest(page_id=THE_PAGE, request_id="r-1")
    await edge.pages.HoldPage(hold, metadata=known.owner)
    await transfer(edge, known.admin, "crm")

    put_again = await refusal_of(edge.pages.PutPage(requests[0], metadata=known.owner))
    held_again = await refusal_of(edge.pages.HoldPage(hold, metadata=known.owner))

    assert put_again.info.reason == "PAGE_NOT_REGISTERED"
    assert held_again.info.reason == "PAGE_NOT_FOUND"


# Earlier messages


async def test_earlier_messages_are_shown_but_not_resent_after_the_share_ended(
    owned: Owned,
) -> None:
    edge, known = owned
    request = send_request("ann", page_id=THE_PAGE, request_id="r-1")
    sent = (await edge.delivery.Send(request, metadata=known.friend)).message
    await share(edge, known.owner)
    await edge.deliver(sent.id, {"ann": FAILED})

    again = (await edge.delivery.Send(request, metadata=known.friend)).message
    resend, dry = (ResendRequest(message_id=sent.id, validate_only=dry) for dry in (False, True))
    refusals = [await refusal_of(edge.delivery.Resend(one, metadata=known.friend)) for one in (resend, dry)]

    assert (again.id, again.counts.failed) == (sent.id, 1)
    assert [refusal.info.reason for refusal in refusals] == ["PAGE_NOT_REGISTERED"] * 2
    assert (await edge.delivery.Resend(resend, metadata=known.admin)).recipients_to_retry == 1


async def test_reports_of_a_formerly_shared_page_show_the_callers_own_messages(owned: Owned) -> None:
    edge, known = owned
    for who in (known.friend, known.owner):
        sent = (await edge.delivery.Send(send_request("ann", page_id=THE_PAGE), metadata=who)).message
        await edge.deliver(sent.id, {"ann": FAILED})
    await share(edge, known.owner)

    async def seen(who: Metadata) -> list[int]:
        """Return the number of messages in each answer that takes a page id."""
        listed = await edge.delivery.ListMessages(ListMessagesRequest(page_id=THE_PAGE), metadata=who)
        summed = await edge.reports.SummarizeFailures(SummarizeFailuresRequest(page_id=THE_PAGE), metadata=who)
        report = await edge.reports.GetDeliveryReport(GetDeliveryReportRequest(page_id=THE_PAGE), metadata=who)
        rows = len((await exported(edge, THE_PAGE, who)).splitlines()) - 1
        return [len(listed.messages), len(summed.messages), len(report.messages), rows]

    assert await seen(known.friend) == await seen(known.owner) == [1] * 4
    assert await seen(known.admin) == [2] * 4


# Pages without an owner, of earlier releases


@pytest.mark.parametrize("who", ["owner", "outsider", "admin"])
async def test_a_page_without_an_owner_can_be_used_by_every_caller(owned: Owned, who: str) -> None:
    edge, known = owned
    for call in EVERY.values():
        await call(edge, LEGACY, getattr(known, who))

    listed = await edge.pages.ListPages(ListPagesRequest(), metadata=known.outsider)
    assert [page.owner for page in listed.pages if page.id == LEGACY] == [""]


async def test_only_an_admin_transfers_a_page_without_an_owner_and_prepares_its_shares(
    owned: Owned,
) -> None:
    edge, known = owned
    refusal = await refusal_of(share(edge, known.owner, page_id=LEGACY))
    await share(edge, known.admin, "crm", "shop", page_id=LEGACY)
    await USES["send"](edge, LEGACY, known.outsider)

    page = await transfer(edge, known.admin, "shop", LEGACY)

    assert refusal.info.reason == "PAGE_NOT_YOURS_TO_SHARE"
    assert (page.owner, list(page.shared_with)) == ("shop", ["crm"])
    await USES["send"](edge, LEGACY, known.friend)
    assert (await refusal_of(USES["send"](edge, LEGACY, known.outsider))).info.reason == "PAGE_NOT_REGISTERED"


# Without authentication


async def test_without_authentication_one_owner_may_use_every_call(tmp_path: Path) -> None:
    async with running_edge(tmp_path) as edge:
        await edge.commit(page_stream(LEGACY), 0, page_registered(LEGACY, requested_by=""))
        registered = (await edge.pages.PutPage(put(page_id=THE_PAGE))).page
        for page_id in (THE_PAGE, LEGACY):
            for call in EVERY.values():
                await call(edge, page_id, ())
        adopted = (await edge.pages.TransferPage(TransferPageRequest(page_id=LEGACY, owner="local"))).page
        shared = await share(edge, (), "crm", page_id=LEGACY)

    assert (registered.owner, adopted.owner, list(shared.shared_with)) == ("local", "local", ["crm"])


async def test_without_authentication_a_page_may_be_transferred_to_a_known_caller(tmp_path: Path) -> None:
    async with running_edge(tmp_path) as edge:
        await edge.pages.PutPage(put(page_id=THE_PAGE))

        await share(edge, ())
        given = await transfer(edge, (), "shop")

        assert given.owner == "shop"
        assert (await refusal_of(USES["send"](edge, THE_PAGE, ()))).info.reason == "PAGE_NOT_REGISTERED"


async def test_without_authentication_pages_of_known_callers_remain_theirs(tmp_path: Path) -> None:
    async with running_edge(tmp_path) as edge:
        closed = PageShared(page_id=THE_PAGE, shared_with=(), requested_by="shop", time=NOW)
        await edge.commit(page_stream(THE_PAGE), 0, page_registered(THE_PAGE, requested_by="shop"), closed)

        refusals = [
            await refusal_of(edge.pages.TransferPage(TransferPageRequest(page_id=THE_PAGE, owner="local"))),
            *[await refusal_of(call(edge, THE_PAGE, ())) for call in EVERY.values()],
        ]
        listed = await edge.pages.ListPages(ListPagesRequest())

    assert refusals[0].info.reason == "PAGE_NOT_FOUND"
    assert THE_PAGE not in {page.id for page in listed.pages}


# Recorded callers


async def test_every_event_and_every_log_line_names_the_caller(owned: Owned) -> None:
    edge, known = owned
    edge.log.listen(log_events)
    known_before = len(await events_of(edge))
    with capture_logs() as logs:
        for who in (known.friend, known.admin):
            for call in CHANGES.values():
                await call(edge, THE_PAGE, who)
        await share(edge, known.owner, "crm", "ops")
        await transfer(edge, known.admin, "crm")

    events = (await events_of(edge))[known_before:]
    lines = [line for line in logs if line["event"].startswith("page_")]
    names = [event.requested_by for event in events]
    assert set(names[:-2]) == {"crm", "root"}
    assert names[-2:] == ["shop", "root"]
    assert [line["requested_by"] for line in lines] == names
    assert {line["page"] for line in lines} == {THE_PAGE}
    assert not any(word in f"{lines}" for word in (TOKEN, "EAAG-another", "Mine"))
