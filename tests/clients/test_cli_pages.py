"""The commands `redrive page`; tokens are never shown."""

from typing import TYPE_CHECKING

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc.error_details_pb2 import BadRequest

from redrive.v1.delivery_service_pb2 import GetMessageResponse
from redrive.v1.message_pb2 import Message
from redrive.v1.page_pb2 import Page, PageHold, PagePause, SendMode
from redrive.v1.page_service_pb2 import (
    HoldPageResponse,
    ListPagesResponse,
    PutPageRequest,
    PutPageResponse,
    ReleasePageResponse,
    SharePageResponse,
    TransferPageResponse,
)

if TYPE_CHECKING:
    from tests.clients.conftest import Redrive, ScriptedServer

PAGE = Page(id="1", name="Shop", messages_per_second=400, send_mode=SendMode.SEND_MODE_BATCH, token_generation=2)


async def test_page_put_sends_the_given_settings(server: "ScriptedServer", redrive: "Redrive") -> None:
    server.answer("PutPage", PutPageResponse(page=PAGE, warnings=["The pace is above 300 messages a second."]))

    result = await redrive(
        *("page", "put", "1", "--name", "Shop", "--token", "EAAB-secret", "--app-secret", "app-secret"),
        *("--rate", "400", "--send-mode", "batch"),
    )

    (request,) = server.asked("PutPage")
    assert result.exit_code == 0, result.output
    assert request == PutPageRequest(
        page_id="1",
        name="Shop",
        access_token="EAAB-secret",
        app_secret="app-secret",
        messages_per_second=400,
        send_mode=SendMode.SEND_MODE_BATCH,
        request_id=request.request_id,
    )
    assert "Warning: The pace is above 300 messages a second." in result.stdout
    assert "secret" not in result.output


async def test_secrets_may_come_from_the_environment(
    server: "ScriptedServer", redrive: "Redrive", monkeypatch: pytest.MonkeyPatch
) -> None:
    server.answer("PutPage", PutPageResponse(page=PAGE))
    monkeypatch.setenv("REDRIVE_PAGE_TOKEN", "EAAB-secret")
    monkeypatch.setenv("REDRIVE_PAGE_APP_SECRET", "app-secret")

    await redrive("page", "put", "1")

    (request,) = server.asked("PutPage")
    assert (request.access_token, request.app_secret) == ("EAAB-secret", "app-secret")


async def test_a_terminal_is_asked_for_the_token_without_showing_it(
    server: "ScriptedServer", redrive: "Redrive", monkeypatch: pytest.MonkeyPatch
) -> None:
    server.answer("PutPage", PutPageResponse(page=PAGE))
    monkeypatch.setattr("redrive.cli.pages.is_terminal", lambda: True)

    result = await redrive("page", "put", "1", input="EAAB-secret\n")

    assert server.asked("PutPage")[0].access_token == "EAAB-secret"
    assert "Access token of page 1 (empty keeps the present one)" in result.output
    assert "EAAB-secret" not in result.output


async def test_without_a_terminal_the_token_is_read_from_standard_input(
    server: "ScriptedServer", redrive: "Redrive"
) -> None:
    server.answer("PutPage", PutPageResponse(page=PAGE))

    result = await redrive("page", "put", "1", input="EAAB-secret\n")

    assert server.asked("PutPage")[0].access_token == "EAAB-secret"
    assert "EAAB-secret" not in result.output


@pytest.mark.parametrize("token", [" EAAB-secret\n", "\tEAAB-secret\r\n", "\xa0EAAB-secret "])
async def test_spaces_around_a_token_are_removed(server: "ScriptedServer", redrive: "Redrive", token: str) -> None:
    server.answer("PutPage", PutPageResponse(page=PAGE))

    await redrive("--token", " callers\n", "page", "put", "1", "--token", token, "--app-secret", token)
    await redrive("page", "put", "1", input=f"{token}\n".lstrip("\n"))

    first, second = server.asked("PutPage")
    assert (first.access_token, first.app_secret, second.access_token) == ("EAAB-secret",) * 3


async def test_new_page_without_a_token_gets_a_hint(server: "ScriptedServer", redrive: "Redrive") -> None:
    details = BadRequest()
    details.field_violations.add(field="access_token", description="is required for a new page")
    server.refuse("PutPage", grpc.StatusCode.INVALID_ARGUMENT, details)

    result = await redrive("page", "put", "1")

    assert result.exit_code == 2
    assert result.stderr.splitlines()[1:] == [
        "  access_token: is required for a new page",
        "Give the token in REDRIVE_PAGE_TOKEN, or on standard input.",
    ]


async def test_settings_not_given_are_not_sent(server: "ScriptedServer", redrive: "Redrive") -> None:
    server.answer("PutPage", PutPageResponse(page=PAGE))

    await redrive("page", "put", "1", "--token", "EAAB-secret")

    (request,) = server.asked("PutPage")
    assert request == PutPageRequest(page_id="1", access_token="EAAB-secret", request_id=request.request_id)


async def test_without_a_terminal_no_token_keeps_the_present_one(server: "ScriptedServer", redrive: "Redrive") -> None:
    server.answer("PutPage", PutPageResponse(page=PAGE))

    result = await redrive("page", "put", "1")

    assert result.exit_code == 0, result.output
    assert server.asked("PutPage")[0].access_token == ""


async def test_caller_token_and_page_token_are_separate(server: "ScriptedServer", redrive: "Redrive") -> None:
    server.answer("PutPage", PutPageResponse(page=PAGE))

    await redrive("--token", "callers", "page", "put", "1", "--token", "pages")

    assert server.asked("PutPage")[0].access_token == "pages"
    assert server.metadata[0]["authorization"] == "Bearer callers"


async def test_pages_are_listed(server: "ScriptedServer", redrive: "Redrive") -> None:
    server.answer("ListPages", ListPagesResponse(pages=[PAGE]))

    result = await redrive("page", "list")

    assert "Shop" in result.stdout
    assert "BATCH" in result.stdout


async def test_page_is_put_on_hold_and_released(server: "ScriptedServer", redrive: "Redrive") -> None:
    held = Page(id="1", name="Shop", hold=PageHold(reason="a wrong link", held_by="ops"))
    server.answer("HoldPage", HoldPageResponse(page=held))
    server.answer("ReleasePage", ReleasePageResponse(page=PAGE))

    holding = await redrive("page", "hold", "1", "--reason", "a wrong link")
    releasing = await redrive("page", "release", "1")

    assert (holding.exit_code, releasing.exit_code) == (0, 0)
    assert server.asked("HoldPage")[0].reason == "a wrong link"
    assert "by ops: a wrong link" in " ".join(holding.stdout.split())
    assert "no" in releasing.stdout


async def test_page_list_shows_owner_and_sharing(server: "ScriptedServer", redrive: "Redrive") -> None:
    pages = [Page(id="1", owner="shop", shared_with=["crm", "ops"]), Page(id="2")]
    server.answer("ListPages", ListPagesResponse(pages=pages))

    result = await redrive("page", "list", env={"COLUMNS": "250"})

    assert "crm, ops" in result.stdout
    assert "none: every caller may use it" in result.stdout


async def test_page_is_shared_with_the_named_callers(server: "ScriptedServer", redrive: "Redrive") -> None:
    server.answer("SharePage", SharePageResponse(page=Page(id="1", owner="shop", shared_with=["crm", "ops"])))

    result = await redrive("page", "share", "1", "crm", "ops")

    (request,) = server.asked("SharePage")
    assert (result.exit_code, request.page_id, list(request.shared_with)) == (0, "1", ["crm", "ops"])
    assert request.request_id
    assert "crm, ops" in result.stdout


async def test_sharing_with_no_caller_requires_only_owner(server: "ScriptedServer", redrive: "Redrive") -> None:
    server.answer("SharePage", SharePageResponse(page=Page(id="1", owner="shop")))

    unsaid = await redrive("page", "share", "1")
    both = await redrive("page", "share", "1", "crm", "--only-owner")
    said = await redrive("page", "share", "1", "--only-owner")

    assert (unsaid.exit_code, both.exit_code, said.exit_code) == (2, 2, 0)
    assert "--only-owner" in unsaid.stderr
    assert [list(request.shared_with) for request in server.asked("SharePage")] == [[]]


async def test_page_is_transferred_to_another_owner(server: "ScriptedServer", redrive: "Redrive") -> None:
    server.answer("TransferPage", TransferPageResponse(page=Page(id="1", owner="crm")))

    result = await redrive("page", "transfer", "1", "crm")

    (request,) = server.asked("TransferPage")
    assert (result.exit_code, request.page_id, request.owner) == (0, "1", "crm")


async def test_paused_page_shows_until_when_and_why(server: "ScriptedServer", redrive: "Redrive") -> None:
    pause = PagePause(reason="Retry-After: 60", until_time=Timestamp(seconds=1_800_000_000))
    server.answer("ListPages", ListPagesResponse(pages=[Page(id="1", name="Shop", pause=pause)]))
    server.answer("GetMessage", GetMessageResponse(message=Message(id="m1", page_pause=pause)))

    listed = await redrive("page", "list", env={"COLUMNS": "250"})
    shown = await redrive("message", "m1")

    assert "until 2027-01-1" in listed.stdout
    assert "Retry-After: 60" in listed.stdout
    assert "page paused" in shown.stdout
    assert "Retry-After: 60" in shown.stdout
