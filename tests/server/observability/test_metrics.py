"""Metrics of a running service as a scraper reads them."""

import asyncio
from collections.abc import Mapping

import grpc.aio
import pytest
from grpc_channelz.v1 import channelz_pb2, channelz_pb2_grpc

from projections.page_queues import PageQueue, page_queues
from projections.sql import Sql
from redrive.v1.content_pb2 import Content
from redrive.v1.delivery_service_pb2 import (
    CancelMessageRequest,
    PauseMessageRequest,
    SendRequest,
    SendStreamRequest,
    WatchProgressRequest,
)
from redrive.v1.delivery_service_pb2_grpc import DeliveryServiceStub
from redrive.v1.page_pb2 import SendMode
from redrive.v1.page_service_pb2 import HoldPageRequest
from redrive.v1.page_service_pb2_grpc import PageServiceStub
from tests.builders import PAGE
from tests.server.observability.outside import Outside
from tests.waiting import eventually

SERVICE = "/redrive.v1.DeliveryService"


async def test_accepted_messages_and_outcomes_are_counted(outside: Outside) -> None:
    await outside.put_page()
    await outside.put_page("2002", SendMode.SEND_MODE_BATCH)
    await outside.sandbox.control.order({"preset": "unavailable_recipient", "recipients": ["u1"]})
    first = await outside.send("u1", "u2", "u3")
    second = await outside.send("v1", "v2", page_id="2002")
    await outside.done(first)
    await outside.done(second)
    with pytest.raises(grpc.aio.AioRpcError):
        await outside.message("unknown")

    samples = await outside.samples()

    assert samples["redrive_messages_accepted_total"] == 2
    assert samples["redrive_recipients_accepted_total"] == 5
    assert samples['redrive_deliveries_total{error_type="",outcome="sent"}'] == 4
    assert samples['redrive_deliveries_total{error_type="INVALID_RECIPIENT",outcome="failed"}'] == 1
    assert samples['redrive_attempt_seconds_count{send_mode="single"}'] == 3
    assert samples['redrive_attempt_seconds_count{send_mode="batch"}'] == 1
    assert samples['redrive_commits_total{result="committed"}'] == samples["redrive_commit_seconds_count"] > 5
    assert samples[f'redrive_calls_total{{code="OK",method="{SERVICE}/Send"}}'] == 2
    assert samples[f'redrive_calls_total{{code="NOT_FOUND",method="{SERVICE}/GetMessage"}}'] == 1
    assert samples[f'redrive_call_seconds_count{{method="{SERVICE}/Send"}}'] == 2
    assert samples['redrive_queue_depth{page="1001"}'] == samples['redrive_queue_age_seconds{page="2002"}'] == 0
    assert samples["redrive_books_imbalance"] == 0
    assert [name for name in samples if name.startswith("redrive_build_info{")]
    assert samples["process_resident_memory_bytes"] > 0


async def test_a_held_page_its_queue_and_a_watcher_are_shown(outside: Outside, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.observability.database_metrics.QUEUE_SECONDS", 0.0)
    await outside.put_page()
    await PageServiceStub(outside.wire).HoldPage(HoldPageRequest(page_id=PAGE, reason="a wrong link"))
    message_id = await outside.send("u1", "u2")
    watch = DeliveryServiceStub(outside.wire).WatchProgress(WatchProgressRequest(message_id=message_id))
    await watch.read()

    held = await outside.samples()
    await DeliveryServiceStub(outside.wire).PauseMessage(PauseMessageRequest(message_id=message_id))
    paused = await outside.samples()
    await DeliveryServiceStub(outside.wire).CancelMessage(CancelMessageRequest(message_id=message_id))
    await outside.done(message_id)
    watch.cancel()
    ended = await eventually(outside.samples, lambda samples: samples["redrive_watch_streams"] == 0)

    assert held['redrive_page_on_hold{page="1001"}'] == 1
    assert held['redrive_queue_depth{page="1001"}'] == 2
    assert held['redrive_queue_age_seconds{page="1001"}'] > 0
    assert held["redrive_watch_streams"] == 1
    assert paused['redrive_queue_age_seconds{page="1001"}'] == 0
    assert ended['redrive_queue_depth{page="1001"}'] == 0
    assert ended['redrive_deliveries_total{error_type="",outcome="cancelled"}'] == 2


async def test_an_open_stream_of_recipients_is_shown(outside: Outside) -> None:
    await outside.put_page()
    stream = DeliveryServiceStub(outside.wire).SendStream()
    await stream.write(SendStreamRequest(header=SendRequest(page_id=PAGE, content=Content(text="Hello"))))

    await eventually(outside.samples, lambda samples: samples["redrive_send_streams"] == 1)
    stream.cancel()
    await eventually(outside.samples, lambda samples: samples["redrive_send_streams"] == 0)


async def test_a_sending_page_shows_its_pace(outside: Outside) -> None:
    await outside.put_page()
    await outside.sandbox.control.order({"effect": {"kind": "delay", "seconds": 1.0}})
    await outside.send("u1")

    name = 'redrive_page_pace_messages_per_second{page="1001"}'
    await eventually(outside.samples, lambda samples: samples.get(name) == 2_000)


async def test_wrong_counts_are_shown_until_they_are_correct(outside: Outside, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.observability.database_metrics.BOOKS_SECONDS", 0.0)
    await outside.put_page()
    message_id = await outside.send("u1", "u2")
    await outside.done(message_id)

    async def imbalance_after(statement: str) -> float:
        with outside.store.transaction(commit=True) as sql:
            sql.execute(statement)
        return (await outside.samples())["redrive_books_imbalance"]

    assert await imbalance_after("UPDATE messages SET sent = 1") == 1
    assert (await outside.samples())["redrive_books_imbalance"] == 1
    assert (
        await imbalance_after("UPDATE messages SET sent = 1, failed = 1") == 2
    )  # the sum is right, the statuses are not
    assert await imbalance_after("UPDATE messages SET sent = 2, failed = 0") == 0


async def test_gauges_are_missing_while_the_database_is_unavailable(
    outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.observability.database_metrics.QUEUE_SECONDS", 0.0)
    await outside.put_page()
    assert 'redrive_queue_depth{page="1001"}' in await outside.samples()

    await outside.log.close()
    samples = await outside.samples()

    assert "redrive_messages_accepted_total" in samples
    assert not [name for name in samples if name.startswith(("redrive_queue", "redrive_books", "redrive_page_on_hold"))]


async def test_channelz_describes_the_server_when_enabled(outside: Outside) -> None:
    stub = channelz_pb2_grpc.ChannelzStub(outside.wire)

    servers = await stub.GetServers(channelz_pb2.GetServersRequest())

    assert any(server.data.calls_started for server in servers.server)


async def test_many_concurrent_scrapes_read_the_database_once(
    outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    await outside.put_page()
    await outside.scrape()
    reads = 0
    read = outside.log.read

    async def counted(query: object) -> object:
        nonlocal reads
        reads += getattr(query, "__module__", "").startswith("server.observability")
        return await read(query)  # type: ignore[arg-type]

    monkeypatch.setattr(outside.log, "read", counted)
    await asyncio.gather(*(outside.scrape() for _ in range(5)))

    assert reads == 0


async def test_concurrent_scrapes_share_one_read(outside: Outside, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0

    def counted(sql: Sql) -> Mapping[str, PageQueue]:
        nonlocal looks
        looks += 1
        return page_queues(sql)

    monkeypatch.setattr("server.observability.database_metrics.page_queues", counted)
    await asyncio.gather(*(outside.scrape() for _ in range(5)))

    assert looks == 1
