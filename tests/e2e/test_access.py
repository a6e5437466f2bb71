"""Authentication over TLS on a real server: tokens from the command line, client certificates, rejected callers."""

import asyncio
import json
import os
from asyncio.subprocess import PIPE
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from typer.testing import CliRunner

from domain.streams import page_stream
from server.auth.caller import Scope
from server.main import cli
from tests.builders import page_registered
from tests.databases import opened
from tests.e2e.processes import SandboxProcess, running_server
from tests.e2e.programs import start_program
from tests.server.auth.certified import Authority
from tests.server.eventstore.whole_log import append

CLI = "redrive"


class Ran(NamedTuple):
    code: int
    output: str
    errors: str


async def run(program: str, *arguments: str, **environment: str) -> Ran:
    process = await start_program(
        program, *arguments, environment={**os.environ, **environment}, stdout=PIPE, stderr=PIPE
    )
    output, errors = await process.communicate()
    assert process.returncode is not None
    return Ran(process.returncode, output.decode().strip(), errors.decode())


def token(settings: Mapping[str, str], owner: str, scope: Scope) -> str:
    made = CliRunner().invoke(cli, ["tokens", "create", "--owner", owner, "--scope", scope.value], env=settings)
    assert made.exit_code == 0, made.stderr
    return made.stdout.strip()


async def test_callers_authenticate_by_tokens_and_certificates_over_tls(
    sandbox: SandboxProcess, tmp_path: Path
) -> None:
    authority = Authority()
    chain, key = authority.certify("localhost", "localhost").write(tmp_path)
    mine = authority.certify("ops", "ops.example.org").write(tmp_path, "ops")
    trusted = tmp_path / "authority.pem"
    trusted.write_bytes(authority.certificate)
    callers = tmp_path / "callers.json"
    callers.write_text(
        json.dumps({"clients": [{"name": "ops.example.org", "owner": "ops", "scopes": ["pages", "read"]}]})
    )
    settings = {
        "REDRIVE_AUTH_FILE": str(callers),
        "REDRIVE_TLS_CERT": str(chain),
        "REDRIVE_TLS_KEY": str(key),
        "REDRIVE_TLS_CLIENT_CA": str(trusted),
    }
    reader = token(settings, "crm", Scope.READ)
    with closing(opened(f"sqlite:///{tmp_path / 'redrive.db'}")) as store:
        append(store, page_stream("legacy"), 0, page_registered("legacy", requested_by=""))
    async with running_server(tmp_path, sandbox.graph_url, settings) as server:
        connection = {
            "REDRIVE_SERVER": f"localhost:{server.port}",
            "REDRIVE_ROOT_CERTIFICATES": str(trusted),
            "REDRIVE_CLIENT_CERT": str(mine[0]),
            "REDRIVE_CLIENT_KEY": str(mine[1]),
            "REDRIVE_PAGE_TOKEN": "EAAG-secret-token",
        }
        assert (await run(CLI, "page", "put", "1001", **connection)).code == 0
        assert (await run(CLI, "page", "share", "1001", "--only-owner", **connection)).code == 0
        listed, refused, unknown = await asyncio.gather(
            run(CLI, "page", "list", REDRIVE_TOKEN=reader, **connection),
            run(CLI, "page", "put", "1001", REDRIVE_TOKEN=reader, **connection),
            run(CLI, "page", "list", REDRIVE_TOKEN="rdt_nobody-has-this-one", **connection),
        )
        writer, other = token(settings, "ops", Scope.PAGES), token(settings, "crm", Scope.PAGES)
        put, foreign = await asyncio.gather(
            run(CLI, "page", "put", "1001", REDRIVE_TOKEN=writer, **connection),
            run(CLI, "page", "put", "1001", REDRIVE_TOKEN=other, **connection),
        )
        shared = await run(CLI, "page", "share", "1001", "crm", **connection)
        visible = await run(CLI, "page", "list", REDRIVE_TOKEN=reader, **connection)

    for successful in (listed, put, shared, visible):
        assert successful.code == 0, successful.errors
    assert "1001" not in listed.output
    assert "1001" in visible.output
    assert foreign.code != 0
    assert "another caller" in foreign.errors
    changes = [line for line in server.log.read_text().splitlines() if '"event":"page_' in line.replace(" ", "")]
    assert changes
    assert all('"requested_by":"ops"' in line.replace(" ", "") for line in changes)
    assert refused.code != 0
    assert "pages" in refused.errors
    assert unknown.code != 0
    [warning] = [line for line in server.log_lines() if line["event"] == "pages_without_owner"]
    assert warning["pages"] == 1
    for secret in (reader, writer, "rdt_nobody-has-this-one"):
        assert secret not in server.log.read_text()
        assert secret not in refused.errors + unknown.errors
        assert secret not in callers.read_text()
