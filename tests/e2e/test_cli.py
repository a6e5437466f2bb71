"""The command line against a real server: send, list failures, resend."""

import json
import os
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.e2e.processes import SandboxProcess, ServerProcess
from tests.e2e.programs import start_program


class Ran(NamedTuple):
    code: int
    output: str
    errors: str

    def json(self) -> Any:
        return json.loads(self.output)


async def _redrive(server: ServerProcess, *arguments: str) -> Ran:
    environment = {**os.environ, "REDRIVE_SERVER": server.address, "REDRIVE_PAGE_TOKEN": "EAAG-secret-token"}
    process = await start_program("redrive", *arguments, environment=environment, stdout=PIPE, stderr=PIPE)
    output, errors = await process.communicate()
    assert process.returncode is not None
    return Ran(process.returncode, output.decode(), errors.decode())


async def test_the_cli_sends_lists_failures_and_resends(
    server: ServerProcess, sandbox: SandboxProcess, tmp_path: Path
) -> None:
    await sandbox.control.order({"preset": "temporary", "recipients": ["u2"], "times": 1})
    people = tmp_path / "people.csv"
    people.write_text("id,name,city\nu1,Ada,Hanoi\nu2,Bo,Huế\nu3,Cy,Đà Nẵng\n")

    put = await _redrive(server, "--output", "json", "page", "put", "1001", "--rate", "100")
    assert put.code == 0, put.errors
    assert "EAAG-secret-token" not in put.output + put.errors
    sent = await _redrive(
        server, "send", "--page", "1001", "--text", "Hi {{name}} of {{city}}", "--csv", str(people), "--watch"
    )
    assert sent.code == 10, sent.errors
    [message] = (await _redrive(server, "--output", "json", "messages")).output.splitlines()[:1] or [""]
    listed = await _redrive(server, "messages")
    assert listed.code == 0
    assert message

    message_id = await _only_message(server)
    failed = await _redrive(server, "failed", message_id)
    assert "u2" in failed.output
    assert "NETWORK" in failed.output.upper()
    again = await _redrive(server, "resend", message_id, "--watch")
    assert again.code == 0, again.errors
    deliveries = await _redrive(server, "deliveries", message_id, "--recipient", "u2")
    assert deliveries.output.count("u2") >= 2
    assert (await sandbox.control.summary()).repeat_count == 0


async def _only_message(server: ServerProcess) -> str:
    listed = await _redrive(server, "--output", "json", "messages")
    found = json.loads(listed.output)
    return str(found["messages"][0]["id"])


async def test_an_invalid_csv_names_line_and_column_and_sends_nothing(
    server: ServerProcess, sandbox: SandboxProcess, tmp_path: Path
) -> None:
    people = tmp_path / "people.csv"
    people.write_text("id,name\nu1,Ada\nu 2,Bo\n")
    await _redrive(server, "page", "put", "1001")

    sent = await _redrive(server, "send", "--page", "1001", "--text", "Hi", "--csv", str(people))

    assert sent.code == 2
    assert "line 3" in sent.errors
    assert "id" in sent.errors
    assert (await sandbox.control.summary()).received == 0


@pytest.mark.parametrize("count", [100, 12_000], ids=["in one request", "in a stream"])
async def test_recipients_that_the_server_rejects_are_reported_by_line_and_column(
    server: ServerProcess, sandbox: SandboxProcess, tmp_path: Path, count: int
) -> None:
    people = tmp_path / "people.csv"
    rows = [f'u{number},"Ada\nof Line {number}",Hanoi\n' for number in range(count)]
    rows[-2] = f"long,{'n' * 200},{'c' * 1_000}\n"
    people.write_text("id,name,city\n\n" + "".join(rows))
    await _redrive(server, "page", "put", "1001")

    text = "{{name}} {{city}} {{city}}"
    sent = await _redrive(server, "send", "--page", "1001", "--text", text, "--csv", str(people))

    assert sent.code == 2
    assert f"line {2 * count - 1}, columns name, city: makes a text of 2,202 characters" in sent.errors
    assert (await sandbox.control.summary()).received == 0


async def test_an_unavailable_server_has_its_own_exit_code(server: ServerProcess) -> None:
    await server.kill()

    asked = await _redrive(server, "messages")

    assert asked.code == 5
    assert "Traceback" not in asked.errors
