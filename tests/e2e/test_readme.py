"""The README's grpcurl session, run with buf curl against real processes.

buf curl speaks the same protocol, reads the same JSON as grpcurl, and is installed as a wheel.
"""

import asyncio
import json
import re
import sys
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

from tests.e2e.processes import SandboxProcess, ServerProcess

README = Path(__file__).parents[2] / "README.md"
BUF = Path(sys.executable).with_name("buf")
_CALL = re.compile(
    r"grpcurl -plaintext -d '(?P<body>[^']*)'[\s\\]*127\.0\.0\.1:50051 (?P<method>redrive\.v1\.\w+)/(?P<rpc>\w+)"
)
_FAULT = re.compile(r"curl -d '(?P<order>[^']*)' http://127\.0\.0\.1:8090/sandbox/faults")


async def _buf_curl(server: ServerProcess, service: str, rpc: str, body: str) -> str:
    process = await asyncio.create_subprocess_exec(
        BUF,
        "curl",
        "--protocol",
        "grpc",
        "--http2-prior-knowledge",
        "--reflect-protocol",
        "grpc-v1alpha",
        "-d",
        body,
        f"http://{server.address}/{service}/{rpc}",
        stdout=PIPE,
        stderr=PIPE,
    )
    output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    return output.decode()


def _last_json(text: str) -> dict[str, Any]:
    """Return the last JSON document in the output of a stream."""
    decoder, at = json.JSONDecoder(), 0
    last: dict[str, Any] = {}
    while (at := text.find("{", at)) >= 0:
        last, at = decoder.raw_decode(text, at)
    return last


async def test_the_readme_session_runs_as_written(server: ServerProcess, sandbox: SandboxProcess) -> None:
    text = README.read_text()
    for fault in _FAULT.finditer(text):
        await sandbox.control.order(json.loads(fault["order"]))
    calls = [(call["method"], call["rpc"], call["body"]) for call in _CALL.finditer(text)]
    assert [rpc for _, rpc, _ in calls] == ["PutPage", "Send", "WatchProgress", "ListFailed", "Resend"]

    answers: dict[str, dict[str, Any]] = {}
    message_id = ""
    for service, rpc, body in calls:
        answers[rpc] = _last_json(await _buf_curl(server, service, rpc, body.replace("MESSAGE_ID", message_id)))
        if rpc == "Send":
            message_id = answers[rpc]["message"]["id"]

    assert "access_token" not in json.dumps(answers["PutPage"])
    progress = answers["WatchProgress"]["progress"]
    assert progress["status"] == "MESSAGE_STATUS_PARTIALLY_SENT"
    assert progress["counts"] == {"total": 3, "sent": 1, "failed": 2}
    failed = answers["ListFailed"]["failedRecipients"]
    assert {one["recipientId"]: one.get("retryable", False) for one in failed} == {"2002": False, "2003": True}
    assert answers["Resend"]["recipientsToRetry"] == 1
    assert {"reason": "SKIP_REASON_PERMANENT_ERROR", "count": 1} in answers["Resend"]["skipped"]
