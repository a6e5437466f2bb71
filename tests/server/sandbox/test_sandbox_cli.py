import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import get_args

import httpx
import msgspec
import pytest
from typer.testing import CliRunner

from server.cli.sandbox import guide
from server.sandbox.__main__ import cli
from server.sandbox.effect import Effect
from server.sandbox.fault_order import FaultOrder, RefusedOrder, read_orders
from server.sandbox.preset import PRESETS
from server.sandbox.token_book import TokenOrder

HELLO = {"recipient": {"id": "u17"}, "message": {"text": "Hello"}, "access_token": "T"}


@contextmanager
def started(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-m", "server.sandbox", "--port", "0", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = json.loads(process.stdout.readline())
            assert line["event"] == "sandbox_listening"
            yield process, line["url"]
        finally:
            process.kill()


def test_help_names_every_effect_preset_and_field() -> None:
    text = CliRunner().invoke(cli, ["--help"]).output
    kinds = [kind.__struct_config__.tag for union in get_args(Effect) for kind in (get_args(union) or (union,))]
    words = [f'"kind": "{kind}"' for kind in kinds] + [f"  {name} " for name in PRESETS]
    words += [f'"{name}"' for name in FaultOrder.__struct_fields__]
    words += ["--faults", "--port", "--host", "--delay-ms", "--seed", "--keep-arrivals"]
    assert len(kinds) == 13
    assert [word for word in words if word not in text] == []


def test_every_order_in_the_help_is_accepted() -> None:
    sent = re.findall(r"sandbox/(\w+) (?:\\\n\s*)?-d '(.*?)'", guide(), re.DOTALL)
    effects = re.findall(r'^  (\{"kind".*\})$', guide(), re.MULTILINE)
    assert (len(sent), len(effects)) == (5, 13)
    orders = [order for path, order in sent if path == "faults"] + [f'{{"effect": {effect}}}' for effect in effects]
    assert not [order for order in orders if isinstance(read_orders(order.encode()), RefusedOrder)]
    for path, order in sent:
        if path == "tokens":
            msgspec.json.decode(order, type=TokenOrder)


def test_the_process_reads_faults_from_a_file_and_stops_on_sigterm(tmp_path: Path) -> None:
    faults = tmp_path / "faults.json"
    faults.write_text('[{"preset": "unknown_recipient", "recipients": ["u17"]}]')
    with started("--faults", str(faults)) as (process, url):
        answer = httpx.post(f"{url}/1001/messages", json=HELLO)
        assert answer.json()["error"]["error_subcode"] == 2018001
        assert httpx.get(httpx.URL(url).join("/sandbox/summary")).json()["received"] == 1
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=5) == 0


def test_the_process_resets_connections(tmp_path: Path) -> None:
    faults = tmp_path / "faults.json"
    faults.write_text('{"preset": "network", "accepts": true}')
    with started("--faults", str(faults)) as (_, url):
        with pytest.raises(httpx.ReadError):
            httpx.post(f"{url}/1001/messages", json=HELLO)
        assert httpx.get(httpx.URL(url).join("/sandbox/summary")).json()["accepted"] == 1


def test_a_wrong_faults_file_is_refused_by_its_field(tmp_path: Path) -> None:
    faults = tmp_path / "faults.json"
    faults.write_text('[{"preset": "flood"}]')
    result = CliRunner().invoke(cli, ["--faults", str(faults)])
    assert result.exit_code == 2
    assert "[0].preset" in result.output


def test_a_port_in_use_is_reported_in_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = CliRunner().invoke(cli, ["--port", str(taken.getsockname()[1])])
    assert result.exit_code == 1
    assert "cannot listen on 127.0.0.1:" in result.output
