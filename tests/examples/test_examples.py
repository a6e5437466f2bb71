"""The examples do what examples/README.md says, in its order, and the configurations for stubs can be read."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.e2e.processes import SandboxProcess, ServerProcess

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"


async def run(server: ServerProcess, name: str, *arguments: str) -> str:
    """Return what an example prints; the test fails if the example does."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", str(EXAMPLES / name), *arguments),
        env={**os.environ, "REDRIVE_SERVER": server.address, "REDRIVE_PAGE_TOKEN": "EAAG-example"},
        stdout=PIPE,
        stderr=STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return output.decode()


async def test_the_examples_send_watch_resend_and_follow(server: ServerProcess, sandbox: SandboxProcess) -> None:
    await sandbox.control.order({"preset": "temporary", "recipients": ["1002"], "times": 1})

    recipients = str(EXAMPLES / "recipients.csv")
    message_id = (await run(server, "send.py", "1001", recipients, "Hello {{name}}")).strip()
    watched = await run(server, "watch.py", message_id)
    resent = await run(server, "resend_by_type.py", message_id, "NETWORK")
    watched_again, followed = await asyncio.gather(
        run(server, "watch.py", message_id), run(server, "follow_events.py", message_id)
    )

    assert watched.splitlines()[-1] == "PARTIALLY_SENT: 2 of 3 sent, 1 failed"
    assert resent.splitlines() == [
        "ERROR_TYPE_NETWORK: 1",
        "A resend takes 1 recipients",
        "- skips 2: SKIP_REASON_ALREADY_SENT",
        "Resending to 1 recipients",
    ]
    assert watched_again.splitlines()[-1] == "SENT: 3 of 3 sent, 0 failed"
    events = [line.split()[1].rstrip(":") for line in followed.splitlines()]
    assert events[0] == "MessageSubmitted"
    assert [events.count(name) for name in ("BatchCreated", "RetryRequested")] == [2, 1]
    assert await run(server, "send.py", "1001", recipients, "Hello {{name}}") == f"{message_id}\n"


@pytest.mark.parametrize("language", ["go", "typescript"])
def test_a_configuration_for_stubs_names_plugins_and_a_folder(language: str) -> None:
    config: dict[str, Any] = YAML(typ="safe").load(EXAMPLES / language / "buf.gen.yaml")

    assert config["version"] == "v2"
    assert all(plugin["remote"].startswith("buf.build/") and plugin["out"] == "gen" for plugin in config["plugins"])


def test_the_readme_lists_every_example() -> None:
    text = (EXAMPLES / "README.md").read_text()

    assert [path.name for path in EXAMPLES.glob("*.py") if f"]({path.name})" not in text] == []
