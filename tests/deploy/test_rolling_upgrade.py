"""The older release and this one on one database: no message is lost, and no recipient is sent to twice."""

import asyncio
import base64
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from domain.message import is_keyed
from redrive import Client
from redrive.errors import Unavailable
from redrive.v1.content_pb2 import Content
from redrive.v1.delivery_service_pb2 import ResendRequest, SendRequest
from redrive.v1.message_pb2 import MessageStatus, RetryPolicy, RetryType
from redrive.v1.page_service_pb2 import PutPageRequest
from server.eventstore.rebuild import differences, rebuild
from tests.databases import opened
from tests.deploy.older_release import OlderRelease, unpacked
from tests.e2e.campaign import assert_balanced, assert_no_duplicates, recipients, watch_until_done
from tests.e2e.processes import SandboxProcess, client_of, running_server
from tests.waiting import eventually

KEY = base64.b64encode(bytes(range(32))).decode()
PAGES = ("3001", "3002", "3003", "3004")
RATE = 50.0  # messages per second and page
PEOPLE = 100
# The older release does not maintain these; a rebuild does.
UNCOUNTED_TABLES = {"outcomes", "page_outcomes"}
UNCOUNTED_COLUMNS = {"recent_attempts", "recent_failures"}
AUTO, CRON, MANUAL = RetryType.RETRY_TYPE_AUTO, RetryType.RETRY_TYPE_CRON, RetryType.RETRY_TYPE_MANUAL


def request(page: str, name: str, retry: RetryType.ValueType = MANUAL) -> SendRequest:
    """Return a Send to recipients of its own; the sandbox refuses every tenth of them once."""
    return SendRequest(
        page_id=page,
        title=name,
        content=Content(text="Hi {{name}}, {{city}}"),
        recipients=recipients(PEOPLE, name),
        retry_policy=RetryPolicy(type=retry),
    )


async def workers(client: Client, message_ids: list[str]) -> set[str]:
    return {batch.worker for id_ in message_ids async for batch in client.list_batches(id_) if batch.worker}


def deliveries_without_name(url: str) -> int:
    """Count deliveries without a name: the older server could not decrypt it."""
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT COUNT(*) FROM deliveries WHERE recipient_name = ''").fetchone()
    assert row is not None
    return int(row[0])


def sealed_titles(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT COUNT(*) FROM messages WHERE title LIKE 'sealed:%'").fetchone()
    assert row is not None
    return int(row[0])


def messages(url: str) -> list[dict[str, Any]]:
    """Return the rows of `messages` without the columns that the older release does not maintain."""
    with psycopg.connect(url, row_factory=dict_row) as connection:
        rows = connection.execute("SELECT * FROM messages ORDER BY message_id").fetchall()
    return [{name: value for name, value in row.items() if name not in UNCOUNTED_COLUMNS} for row in rows]


def repeatable_send(page: str, request_id: str) -> SendRequest:
    """Return a Send that gives the same message on each call."""
    return SendRequest(
        request_id=request_id,
        page_id=page,
        title="send_repeatedly",
        content=Content(text="Hi {{name}}"),
        recipients=recipients(PEOPLE, request_id),
    )


async def send_repeatedly(request_id: str, *clients: Client) -> str:
    """Send the same request to each server by Send and SendStream; return the one message id."""
    asked = repeatable_send(PAGES[3], request_id)
    header = SendRequest()
    header.CopyFrom(asked)
    header.ClearField("recipients")
    found = [(await client.send(asked)).message.id for client in clients]
    found += [(await client.send_stream(header, asked.recipients)).message.id for client in clients]
    assert len(set(found)) == 1
    return found[0]


async def refuses_new_features(client: Client, message_id: str) -> None:
    """Requests that the older release cannot read are refuses_new_features within two seconds, with the reason."""
    started = time.monotonic()
    scheduled = request(PAGES[0], "later")
    scheduled.schedule_time.GetCurrentTime()
    scheduled.schedule_time.seconds += 60
    with_default = request(PAGES[0], "default")
    with_default.content.text = "Hi {{name|friend}}"
    for asked in (
        client.pause_message(message_id),
        client.hold_page(PAGES[1]),
        client.transfer_page(PAGES[1], "local"),
        client.send(scheduled),
        client.send(with_default),
    ):
        with pytest.raises(Unavailable) as refusal:
            await asked
        assert refusal.value.reason == "OLDER_RELEASE_LIVES"
    assert time.monotonic() - started < 2


async def test_a_rolling_upgrade_loses_no_message_and_sends_none_twice(
    tmp_path: Path, sandbox: SandboxProcess, postgres_url: str
) -> None:
    settings = {"REDRIVE_DATABASE_URL": postgres_url, "REDRIVE_SECRET_KEY": KEY, "REDRIVE_RETRY_INTERVAL": "1"}
    release = OlderRelease(unpacked(tmp_path / "older"), sandbox.graph_url, settings)
    await sandbox.control.order({"preset": "temporary", "recipients": ["*7"], "times": 1})
    async with release.server(tmp_path / "older.log") as older, Client(older.address) as old:
        for page in PAGES:
            await old.put_page(PutPageRequest(page_id=page, access_token="EAAG", messages_per_second=RATE))
        kinds = (AUTO, CRON, MANUAL, MANUAL)
        sent = [await old.send(request(page, f"o{page}", kind)) for page, kind in zip(PAGES, kinds, strict=True)]
        ids = [one.message.id for one in sent]
        ids.append(await send_repeatedly("before", old))
        for _ in range(40):  # until its statements are prepared: an added column must not break them
            await asyncio.gather(*(old.get_message(id_) for id_ in ids))

        async with running_server(tmp_path, sandbox.graph_url, settings) as server, client_of(server) as new:
            sent = [await new.send(request(page, f"n{page}", kind)) for page, kind in zip(PAGES, kinds, strict=True)]
            ids += [one.message.id for one in sent]
            assert await send_repeatedly("before", new, old) == ids[4]
            ids += [await send_repeatedly("new-first", new, old), await send_repeatedly("old-first", old, new)]
            await asyncio.gather(*(old.get_message(id_) for id_ in ids * 5))
            titles = {one.id: one.title async for one in old.list_messages()}
            assert {f"{who}{page}" for who in "on" for page in PAGES} <= set(titles.values()), (
                "the older release reads these titles"
            )
            await refuses_new_features(new, ids[-1])
            await eventually(lambda: workers(new, ids), lambda found: len(found) == 2)
            for page in PAGES:  # the older release decrypts what this release encrypts
                await new.put_page(PutPageRequest(page_id=page, access_token="EAAG-2"))
            await asyncio.gather(*(watch_until_done(old, id_) for id_ in ids[2:4]))
            resends = (old.resend(ResendRequest(message_id=ids[2])), new.resend(ResendRequest(message_id=ids[3])))
            assert [answer.recipients_to_retry for answer in await asyncio.gather(*resends)] == [10, 10]
            await eventually(lambda: workers(new, ids[5:]), lambda found: len(found) == 2)
            assert await older.stop() == 0

            ends = {id_: await watch_until_done(new, id_) for id_ in ids}
            await asyncio.gather(*(new.resend(ResendRequest(message_id=id_)) for id_ in (ids[4], *ids[7:])))
            repeats = [await send_repeatedly(name, new) for name in ("before", "new-first", "old-first")]
            assert repeats == [ids[4], *ids[9:]]

            async def all_sent() -> list[int]:
                return [(await new.get_message(id_)).counts.sent for id_ in ids]

            await eventually(all_sent, lambda counts: counts == [PEOPLE] * len(ids), within=20)
            for end in ends.values():
                assert_balanced(end.counts)
            assert (await sandbox.control.summary()).accepted == PEOPLE * len(ids)
            await assert_no_duplicates(sandbox)
            assert deliveries_without_name(postgres_url) == 0

            later = await new.send(request(PAGES[0], "after"))
            assert is_keyed(later.message.id), "the older release has ended: ids are keyed again"
            assert (later.message.title, sealed_titles(postgres_url)) == ("after", 1)
            paused = await new.pause_message(later.message.id)
            assert paused.status == MessageStatus.MESSAGE_STATUS_PAUSED
            owners = {page.id: page.owner async for page in new.list_pages()}
            assert owners == dict.fromkeys(PAGES, ""), "the older release stores no owners"
            assert (await new.transfer_page(PAGES[0], "local")).owner == "local"
            ended = await release.run_until_exit()
            assert ended.code == 1
            assert "the database has schema version 2, and this release knows versions up to 1" in ended.output
            await server.stop()
    assert "Traceback" not in older.log.read_text()
    before = messages(postgres_url)
    with closing(opened(postgres_url)) as store:
        assert set(rebuild(store)) <= {"messages", *UNCOUNTED_TABLES}
        assert not differences(store)
    assert messages(postgres_url) == before
