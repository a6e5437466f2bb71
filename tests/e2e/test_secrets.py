"""Search for marked secrets after a full run: in files, logs, answers, errors, metrics, traces and the process list."""

import asyncio
import json
import os
from asyncio.subprocess import PIPE
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import grpc.aio
import httpx
import pytest

from redrive import Client
from redrive.errors import RedriveError
from redrive.v1.content_pb2 import Content, Recipient
from redrive.v1.delivery_service_pb2 import ResendRequest, SendRequest
from redrive.v1.page_service_pb2 import PutPageRequest
from server.crypto.key_ring import random_key
from tests.e2e.campaign import PAGE, watch_until_done
from tests.e2e.processes import PROGRAM, SandboxProcess, ServerProcess, client_of, free_port, running_server

# Each value has its own mark, so that a match shows which one leaked.
TOKEN = "EAAGmarked-first-token-0123456789"
NEXT_TOKEN = "EAAGmarked-next-token-0123456789"
REFUSED_TOKEN = "EAAGmarked-refused-token-0123456789"
APP_SECRET = "marked-app-secret-0123456789"
TEXT = "marked velvet curtains, {{name}} of {{city}}"
NAME = "Marked Velveteen"
CITY = "Markedville"
TITLE, PAGE_NAME = "marked winter campaign", "Marked Curtain Shop"
REASONS = ("marked reason of a hold", "marked reason of a resend")
FILLED_IN = f"marked velvet curtains, {NAME} of {CITY}"
RECIPIENTS = [Recipient(id=f"u{number}", name=NAME, variables={"city": CITY}) for number in range(20)]


@dataclass
class Run:
    """Files and outputs of a full run, by name."""

    key: str
    files: Mapping[str, bytes]
    outputs: Mapping[str, str]

    def shows(self, secret: str) -> Iterator[str]:
        """Yield the names of the files and outputs that contain the secret."""
        yield from (where for where, kept in self.files.items() if secret.encode() in kept)
        yield from (where for where, output in self.outputs.items() if secret in output)

    def secrets(self) -> Iterator[tuple[str, str]]:
        yield from (("token", TOKEN), ("next token", NEXT_TOKEN), ("refused token", REFUSED_TOKEN))
        yield from (("app secret", APP_SECRET), ("server's key", self.key))

    def contents(self) -> Iterator[tuple[str, str]]:
        yield from (("text", "marked velvet"), ("name", NAME), ("variable", CITY))
        yield from (("title", TITLE), ("page's name", PAGE_NAME), *(("reason", reason) for reason in REASONS))


async def ended(*command: str | Path, **environment: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *command, env={**os.environ, **environment}, stdout=PIPE, stderr=PIPE
    )
    out, err = await process.communicate()
    return (out + err).decode()


@pytest.fixture
async def run(tmp_path: Path, sandbox: SandboxProcess) -> Run:
    """Send with failures, replace the token, resend, cause errors, read metrics, run the doctor, stop."""
    key, metrics = random_key(), f"127.0.0.1:{free_port()}"
    settings = {
        "REDRIVE_SECRET_KEY": key,
        "REDRIVE_METRICS_LISTEN": metrics,
        "REDRIVE_LOG_LEVEL": "debug",
        "OTEL_TRACES_EXPORTER": "console",
    }
    for token in (TOKEN, NEXT_TOKEN):
        await sandbox.control.token(token, "allow", APP_SECRET)
    echo = f"(#100) {TOKEN} with {APP_SECRET} said {FILLED_IN}"
    await sandbox.control.order(
        {"effect": {"kind": "error", "code": 100, "message": echo}, "recipients": ["u1", "u2"]},
        {"effect": {"kind": "reset"}, "recipients": ["u3"], "times": 1},
        {"effect": {"kind": "garbage"}, "recipients": ["u4"], "times": 1},
    )
    outputs: dict[str, str] = {}
    async with running_server(tmp_path, sandbox.graph_url, settings, is_forked=False) as server:
        async with client_of(server) as client:
            outputs["answers"] = await _campaign(client, sandbox)
            outputs["errors"] = await _errors(client, server)
        async with httpx.AsyncClient(trust_env=False) as http:
            outputs["metrics"] = (await http.get(f"http://{metrics}/metrics")).text
        outputs["doctor"] = await ended(PROGRAM, "doctor", "--pages", "--json", **server.environment)
        outputs["process list"] = await ended("ps", "-ww", "-o", "args=", "-p", str(server.pid))
        files = _database_files(tmp_path)
        assert await server.stop() == 0
        files = files | {f"{name}, at rest": content for name, content in _database_files(tmp_path).items()}
        outputs["log and traces"] = server.log.read_text()
    return Run(key, files, outputs)


async def _campaign(client: Client, sandbox: SandboxProcess) -> str:
    put = PutPageRequest(
        page_id=PAGE, name=PAGE_NAME, access_token=TOKEN, app_secret=APP_SECRET, messages_per_second=2_000
    )
    seen: list[object] = [await client.put_page(put)]
    asked = SendRequest(page_id=PAGE, title=TITLE, content=Content(text=TEXT), recipients=RECIPIENTS)
    sent = await client.send(asked)
    message_id = sent.message.id
    seen.append(await watch_until_done(client, message_id))
    await sandbox.control.token(TOKEN, "expire")
    replaced = PutPageRequest(page_id=PAGE, access_token=NEXT_TOKEN, app_secret=APP_SECRET)
    seen.append(await client.put_page(replaced))
    held = await client.hold_page(PAGE, REASONS[0])
    assert (held.name, held.hold.reason) == (PAGE_NAME, REASONS[0])
    await client.release_page(PAGE)
    again = ResendRequest(message_id=message_id, include_unconfirmed=True, reason=REASONS[1])
    seen.append(await client.resend(again))
    assert [one.reason async for one in client.list_retries(message_id)] == [REASONS[1]]
    assert (await client.get_message(message_id)).title == TITLE
    progress = await watch_until_done(client, message_id)
    assert progress.counts.sent == 18  # the sandbox checked the proof of each request
    seen += [one async for one in client.list_deliveries(message_id)]
    return "\n".join(map(repr, seen))


async def _errors(client: Client, server: ServerProcess) -> str:
    """Return the errors of rejected requests as callers see them."""
    put = PutPageRequest(page_id=PAGE, access_token=REFUSED_TOKEN, app_secret=APP_SECRET)
    wrong = [
        client.put_page(put),
        client.put_page(PutPageRequest(page_id="", access_token=TOKEN, messages_per_second=-1)),
        client.send(SendRequest(page_id=PAGE, content=Content(text=TEXT * 100), recipients=RECIPIENTS)),
        client.send(SendRequest(page_id=TOKEN * 20, content=Content(text=TEXT), recipients=RECIPIENTS)),
    ]
    errors = await asyncio.gather(*wrong, return_exceptions=True)
    assert all(isinstance(error, RedriveError) for error in errors), errors
    async with grpc.aio.insecure_channel(server.address) as wire:
        garbled: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = wire.unary_unary("/redrive.v1.PageService/PutPage")
        raw = await asyncio.gather(garbled(b"\x0a\x04\xff" + TOKEN.encode()), return_exceptions=True)
    return "\n".join(f"{error!r} {error} {vars(error)}" for error in [*errors, *raw] if isinstance(error, Exception))


def _database_files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name.startswith("redrive.db")}


async def test_no_secret_leaves_its_store(run: Run) -> None:
    secrets = [f"{what} in {where}" for what, secret in run.secrets() for where in run.shows(secret)]
    contents = [f"{what} in {where}" for what, content in run.contents() for where in run.shows(content)]

    assert secrets == []
    # a caller may see its own values
    assert set(contents) <= {"name in answers", "title in answers", "page's name in answers", "reason in answers"}
    _assert_that_the_search_finds_known_values(run)


def _assert_that_the_search_finds_known_values(run: Run) -> None:
    lines = [json.loads(line) for line in run.outputs["log and traces"].splitlines() if line.startswith('{"')]
    events = {line["event"] for line in lines}
    assert {"listening", "page_token_replaced", "rpc_finished", "deliveries_in_trouble"} <= events
    assert '"name": "graph send"' in run.outputs["log and traces"]
    assert '"redrive.message_id"' in run.outputs["log and traces"]
    assert 'redrive_deliveries_total{error_type="",outcome="sent"} 18.0' in run.outputs["metrics"]
    assert json.loads(run.outputs["doctor"])["is_well"]
    assert "redrive-server" in run.outputs["process list"]
    assert "***" in run.outputs["answers"]  # the platform's error repeated the token, which is masked
    assert {"redrive.db", "redrive.db-wal"} <= run.files.keys()
    assert b"u19" in b"".join(run.files.values())
