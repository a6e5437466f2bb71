"""PutPage: pages, their tokens and settings; tokens are tried on the sandbox."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from domain.errors import InvalidRequest, RequestIdReused, TokenRefused
from domain.page_events import SendMode
from domain.streams import page_stream
from projections import pages
from projections.pages import PageRow
from server.commands.pages import PutAnswer, PutPageService
from server.crypto.vault import KeptSecrets, PageSecrets
from server.messenger.http import open_client
from server.messenger.messenger_channel import MessengerChannel
from server.sandbox.runner import Sandbox, running_sandbox
from tests.builders import TOKEN, put_page
from tests.server.commands.desk import Desk

NEW = "2002"  # a page that was never put
DEFAULT_PACE = 10.0
OUT_OF_REACH = "http://127.0.0.1:9/v25.0"  # the port of the discard service, on which nobody listens


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with running_sandbox() as running:
        yield running


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncBaseTransport]:
    async with open_client() as opened:
        yield opened


@pytest.fixture
def puts(desk: Desk, client: httpx.AsyncBaseTransport, sandbox: Sandbox) -> PutPageService:
    return PutPageService(desk.log, desk.vault, MessengerChannel(client, sandbox.url), desk.now, DEFAULT_PACE)


async def page(desk: Desk, page_id: str = NEW) -> PageRow | None:
    return await desk.log.read(lambda sql: pages.find(sql, page_id))


def name_of(desk: Desk, row: PageRow) -> str:
    return desk.vault.labels.page_names.open(row.name, row.page_id)


async def secrets(desk: Desk, page_id: str = NEW) -> KeptSecrets | None:
    return await desk.log.read(desk.vault.page_secrets(page_id))


# A first time


async def test_a_new_page_is_registered_with_a_token_that_was_tried(desk: Desk, puts: PutPageService) -> None:
    answer = await puts.put(put_page(NEW, name="Shop", messages_per_second=40.0, send_mode=SendMode.BATCH))

    assert answer == PutAnswer(answer.page, [])
    assert answer.page == await page(desk)
    assert name_of(desk, answer.page) == "Shop"
    assert (answer.page.messages_per_second, answer.page.send_mode) == (40.0, SendMode.BATCH)
    assert (answer.page.token_generation, answer.page.token_verified) == (1, True)


async def test_the_secrets_are_kept(desk: Desk, puts: PutPageService) -> None:
    await puts.put(put_page(NEW, app_secret="4711"))

    assert await secrets(desk) == KeptSecrets(PageSecrets(access_token=TOKEN, app_secret="4711"), 1)


async def test_a_new_page_needs_a_token(desk: Desk, puts: PutPageService) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await puts.put(put_page(NEW, access_token=""))

    assert [violation.field for violation in refused.value.violations] == ["access_token"]
    assert await page(desk) is None


async def test_a_token_that_the_platform_refuses_is_not_kept(
    desk: Desk, puts: PutPageService, sandbox: Sandbox
) -> None:
    await sandbox.control.token(TOKEN, "revoke")

    with pytest.raises(TokenRefused) as refused:
        await puts.put(put_page(NEW))

    assert TOKEN not in str(refused.value)
    assert (await page(desk), await secrets(desk)) == (None, None)


async def test_a_token_that_cannot_be_tried_is_kept_unverified(desk: Desk, client: httpx.AsyncBaseTransport) -> None:
    puts = PutPageService(desk.log, desk.vault, MessengerChannel(client, OUT_OF_REACH), desk.now, DEFAULT_PACE)

    answer = await puts.put(put_page(NEW))

    assert not answer.page.token_verified
    assert len(answer.warnings) == 1
    assert "unverified" in answer.warnings[0]
    assert await secrets(desk) is not None


async def test_no_pace_asks_for_the_default(puts: PutPageService) -> None:
    answer = await puts.put(put_page(NEW, messages_per_second=0.0))

    assert answer.page.messages_per_second == DEFAULT_PACE


@pytest.mark.parametrize(("pace", "warnings"), [(300.0, 0), (300.5, 1), (5_000.0, 1)])
async def test_a_pace_above_the_platforms_own_is_allowed_with_a_warning(
    puts: PutPageService, pace: float, warnings: int
) -> None:
    answer = await puts.put(put_page(NEW, messages_per_second=pace))

    assert answer.page.messages_per_second == pace
    assert len(answer.warnings) == warnings


# Changing it


async def test_a_new_token_takes_the_place_of_the_old_one(desk: Desk, puts: PutPageService) -> None:
    await puts.put(put_page(NEW, app_secret="4711"))

    answer = await puts.put(put_page(NEW, access_token="renewed"))

    assert answer.page.token_generation == 2
    assert await secrets(desk) == KeptSecrets(PageSecrets(access_token="renewed", app_secret="4711"), 2)


async def test_a_new_token_alone_keeps_pace_and_send_mode(puts: PutPageService) -> None:
    await puts.put(put_page(NEW, messages_per_second=200.0, send_mode=SendMode.BATCH))

    kept = (await puts.put(put_page(NEW, access_token="EAAG-next", send_mode=None))).page

    assert (kept.messages_per_second, kept.send_mode, kept.token_generation) == (200.0, SendMode.BATCH, 2)


async def test_a_refused_new_token_leaves_the_old_one(desk: Desk, puts: PutPageService, sandbox: Sandbox) -> None:
    await puts.put(put_page(NEW))
    await sandbox.control.token("stale", "expire")

    with pytest.raises(TokenRefused):
        await puts.put(put_page(NEW, access_token="stale"))

    assert await secrets(desk) == KeptSecrets(PageSecrets(access_token=TOKEN), 1)


async def test_a_new_app_secret_goes_with_the_old_token(desk: Desk, puts: PutPageService) -> None:
    await puts.put(put_page(NEW))

    await puts.put(put_page(NEW, access_token="", app_secret="4711"))

    assert await secrets(desk) == KeptSecrets(PageSecrets(access_token=TOKEN, app_secret="4711"), 2)


async def test_settings_are_changed_without_asking_about_the_token(
    desk: Desk, puts: PutPageService, sandbox: Sandbox
) -> None:
    await puts.put(put_page(NEW, name="Shop", messages_per_second=20.0))
    await sandbox.control.token(TOKEN, "revoke")

    answer = await puts.put(put_page(NEW, access_token="", messages_per_second=30.0, send_mode=SendMode.BATCH))

    assert name_of(desk, answer.page) == "Shop"
    assert (answer.page.messages_per_second, answer.page.send_mode) == (30.0, SendMode.BATCH)
    assert (answer.page.token_generation, answer.page.token_verified) == (1, True)


async def test_two_new_tokens_at_once_are_two_generations(desk: Desk, puts: PutPageService) -> None:
    await puts.put(put_page(NEW))

    await asyncio.gather(*(puts.put(put_page(NEW, access_token=token)) for token in ("one", "two")))

    kept, row = await secrets(desk), await page(desk)
    assert kept is not None
    assert row is not None
    assert (kept.token_generation, row.token_generation) == (3, 3)
    assert kept.secrets.access_token in ("one", "two")


# The same request again


async def test_a_repeated_request_gets_the_first_answer(desk: Desk, puts: PutPageService, sandbox: Sandbox) -> None:
    command = put_page(NEW, request_id="r-1", messages_per_second=400.0)
    first = await puts.put(command)
    before = await desk.contents()
    await sandbox.control.token(TOKEN, "revoke")

    again = await puts.put(command)

    assert again == first
    assert len(again.warnings) == 1
    assert await desk.contents() == before


@pytest.mark.parametrize("other", [{"access_token": "another"}, {"name": "another"}, {"messages_per_second": 5.0}])
async def test_the_same_request_id_for_something_else_is_refused(
    desk: Desk, puts: PutPageService, other: dict[str, object]
) -> None:
    await puts.put(put_page(NEW, request_id="r-1"))
    before = await desk.contents()

    with pytest.raises(RequestIdReused):
        await puts.put(put_page(NEW, request_id="r-1", **other))

    assert await desk.contents() == before


async def test_the_same_request_many_times_at_once_registers_one_page(desk: Desk, puts: PutPageService) -> None:
    answers = await asyncio.gather(*(puts.put(put_page(NEW, request_id="r-1")) for _ in range(5)))

    assert {answer.page.token_generation for answer in answers} == {1}
    assert len(await desk.log.load(page_stream(NEW))) == 1


async def test_no_event_holds_a_secret(desk: Desk, puts: PutPageService) -> None:
    await puts.put(put_page(NEW, app_secret="secret-4711", request_id="r-1"))

    stored = await desk.log.read(lambda sql: sql.rows("SELECT state FROM stored_events"))

    assert not [row for row in stored if TOKEN.encode() in row["state"] or b"secret-4711" in row["state"]]
