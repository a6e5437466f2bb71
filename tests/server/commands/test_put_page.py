"""PutPage: pages, tokens and settings; tokens are tried on the sandbox."""

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
from server.crypto.vault import PageSecrets, StoredPageSecrets
from server.messenger.http import open_client
from server.messenger.messenger_channel import MessengerChannel
from server.sandbox.runner import Sandbox, running_sandbox
from tests.builders import TOKEN, put_page
from tests.server.commands.command_harness import CommandHarness

NEW = "2002"  # a page that is not registered
DEFAULT_PACE = 10.0
OUT_OF_REACH = "http://127.0.0.1:9/v25.0"  # the port of the discard service, without a listener


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with running_sandbox() as running:
        yield running


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncBaseTransport]:
    async with open_client() as opened:
        yield opened


@pytest.fixture
def puts(harness: CommandHarness, client: httpx.AsyncBaseTransport, sandbox: Sandbox) -> PutPageService:
    return PutPageService(harness.log, harness.vault, MessengerChannel(client, sandbox.url), harness.now, DEFAULT_PACE)


async def page(harness: CommandHarness, page_id: str = NEW) -> PageRow | None:
    return await harness.log.read(lambda sql: pages.find(sql, page_id))


def name_of(harness: CommandHarness, row: PageRow) -> str:
    return harness.vault.labels.page_names.open(row.name, row.page_id)


async def secrets(harness: CommandHarness, page_id: str = NEW) -> StoredPageSecrets | None:
    return await harness.log.read(harness.vault.page_secrets(page_id))


# Registration


async def test_a_new_page_is_registered_after_its_token_was_tried(
    harness: CommandHarness, puts: PutPageService
) -> None:
    answer = await puts.put(put_page(NEW, name="Shop", messages_per_second=40.0, send_mode=SendMode.BATCH))

    assert answer == PutAnswer(answer.page, [])
    assert answer.page == await page(harness)
    assert name_of(harness, answer.page) == "Shop"
    assert (answer.page.messages_per_second, answer.page.send_mode) == (40.0, SendMode.BATCH)
    assert (answer.page.token_generation, answer.page.token_verified) == (1, True)


async def test_the_secrets_are_stored(harness: CommandHarness, puts: PutPageService) -> None:
    await puts.put(put_page(NEW, app_secret="4711"))

    assert await secrets(harness) == StoredPageSecrets(PageSecrets(access_token=TOKEN, app_secret="4711"), 1)


async def test_a_new_page_needs_a_token(harness: CommandHarness, puts: PutPageService) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await puts.put(put_page(NEW, access_token=""))

    assert [violation.field for violation in refused.value.violations] == ["access_token"]
    assert await page(harness) is None


async def test_a_token_that_the_platform_refuses_is_not_stored(
    harness: CommandHarness, puts: PutPageService, sandbox: Sandbox
) -> None:
    await sandbox.control.token(TOKEN, "revoke")

    with pytest.raises(TokenRefused) as refused:
        await puts.put(put_page(NEW))

    assert TOKEN not in str(refused.value)
    assert (await page(harness), await secrets(harness)) == (None, None)


async def test_a_token_that_cannot_be_tried_is_stored_unverified(
    harness: CommandHarness, client: httpx.AsyncBaseTransport
) -> None:
    puts = PutPageService(harness.log, harness.vault, MessengerChannel(client, OUT_OF_REACH), harness.now, DEFAULT_PACE)

    answer = await puts.put(put_page(NEW))

    assert not answer.page.token_verified
    assert len(answer.warnings) == 1
    assert "unverified" in answer.warnings[0]
    assert await secrets(harness) is not None


async def test_a_pace_of_zero_means_the_default(puts: PutPageService) -> None:
    answer = await puts.put(put_page(NEW, messages_per_second=0.0))

    assert answer.page.messages_per_second == DEFAULT_PACE


@pytest.mark.parametrize(("pace", "warnings"), [(300.0, 0), (300.5, 1), (5_000.0, 1)])
async def test_a_pace_above_the_platforms_limit_is_allowed_with_a_warning(
    puts: PutPageService, pace: float, warnings: int
) -> None:
    answer = await puts.put(put_page(NEW, messages_per_second=pace))

    assert answer.page.messages_per_second == pace
    assert len(answer.warnings) == warnings


# Changes


async def test_a_new_token_replaces_the_old_one(harness: CommandHarness, puts: PutPageService) -> None:
    await puts.put(put_page(NEW, app_secret="4711"))

    answer = await puts.put(put_page(NEW, access_token="renewed"))

    assert answer.page.token_generation == 2
    assert await secrets(harness) == StoredPageSecrets(PageSecrets(access_token="renewed", app_secret="4711"), 2)


async def test_a_new_token_without_settings_keeps_pace_and_send_mode(puts: PutPageService) -> None:
    await puts.put(put_page(NEW, messages_per_second=200.0, send_mode=SendMode.BATCH))

    kept = (await puts.put(put_page(NEW, access_token="EAAG-next", send_mode=None))).page

    assert (kept.messages_per_second, kept.send_mode, kept.token_generation) == (200.0, SendMode.BATCH, 2)


async def test_a_refused_new_token_leaves_the_old_one(
    harness: CommandHarness, puts: PutPageService, sandbox: Sandbox
) -> None:
    await puts.put(put_page(NEW))
    await sandbox.control.token("stale", "expire")

    with pytest.raises(TokenRefused):
        await puts.put(put_page(NEW, access_token="stale"))

    assert await secrets(harness) == StoredPageSecrets(PageSecrets(access_token=TOKEN), 1)


async def test_a_new_app_secret_keeps_the_old_token(harness: CommandHarness, puts: PutPageService) -> None:
    await puts.put(put_page(NEW))

    await puts.put(put_page(NEW, access_token="", app_secret="4711"))

    assert await secrets(harness) == StoredPageSecrets(PageSecrets(access_token=TOKEN, app_secret="4711"), 2)


async def test_settings_are_changed_without_trying_the_token(
    harness: CommandHarness, puts: PutPageService, sandbox: Sandbox
) -> None:
    await puts.put(put_page(NEW, name="Shop", messages_per_second=20.0))
    await sandbox.control.token(TOKEN, "revoke")

    answer = await puts.put(put_page(NEW, access_token="", messages_per_second=30.0, send_mode=SendMode.BATCH))

    assert name_of(harness, answer.page) == "Shop"
    assert (answer.page.messages_per_second, answer.page.send_mode) == (30.0, SendMode.BATCH)
    assert (answer.page.token_generation, answer.page.token_verified) == (1, True)


async def test_two_concurrent_new_tokens_are_two_generations(harness: CommandHarness, puts: PutPageService) -> None:
    await puts.put(put_page(NEW))

    await asyncio.gather(*(puts.put(put_page(NEW, access_token=token)) for token in ("one", "two")))

    kept, row = await secrets(harness), await page(harness)
    assert kept is not None
    assert row is not None
    assert (kept.token_generation, row.token_generation) == (3, 3)
    assert kept.secrets.access_token in ("one", "two")


# Repeated requests


async def test_a_repeated_request_gets_the_first_answer(
    harness: CommandHarness, puts: PutPageService, sandbox: Sandbox
) -> None:
    command = put_page(NEW, request_id="r-1", messages_per_second=400.0)
    first = await puts.put(command)
    before = await harness.contents()
    await sandbox.control.token(TOKEN, "revoke")

    again = await puts.put(command)

    assert again == first
    assert len(again.warnings) == 1
    assert await harness.contents() == before


@pytest.mark.parametrize("other", [{"access_token": "another"}, {"name": "another"}, {"messages_per_second": 5.0}])
async def test_the_same_request_id_for_another_request_is_refused(
    harness: CommandHarness, puts: PutPageService, other: dict[str, object]
) -> None:
    await puts.put(put_page(NEW, request_id="r-1"))
    before = await harness.contents()

    with pytest.raises(RequestIdReused):
        await puts.put(put_page(NEW, request_id="r-1", **other))

    assert await harness.contents() == before


async def test_the_same_concurrent_request_registers_one_page(harness: CommandHarness, puts: PutPageService) -> None:
    answers = await asyncio.gather(*(puts.put(put_page(NEW, request_id="r-1")) for _ in range(5)))

    assert {answer.page.token_generation for answer in answers} == {1}
    assert len(await harness.log.load(page_stream(NEW))) == 1


async def test_no_event_contains_a_secret(harness: CommandHarness, puts: PutPageService) -> None:
    await puts.put(put_page(NEW, app_secret="secret-4711", request_id="r-1"))

    stored = await harness.log.read(lambda sql: sql.rows("SELECT state FROM stored_events"))

    assert not [row for row in stored if TOKEN.encode() in row["state"] or b"secret-4711" in row["state"]]
