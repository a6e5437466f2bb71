"""`redrive-server keys rotate` as an operator runs it."""

import base64
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from domain.commands import Recipient
from domain.content import Content
from domain.streams import page_stream
from projections.sql import Sql
from server.bootstrap import StartRefusedError, open_store, open_vault
from server.cli.keys import keys
from server.commands.send import SendService
from server.crypto.key_ring import random_key
from server.crypto.vault import PageSecrets
from server.eventstore.commit import Commit, StreamEvents
from server.eventstore.event_store import EventStore
from server.settings import Settings
from tests.builders import PAGE, TOKEN, page_registered, send_message, wall_clock

RECIPIENT = Recipient(id="u-1", name="Ann", variables={})


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("REDRIVE_SECRET_KEY", "REDRIVE_NEW_SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("REDRIVE_DATABASE_URL", f"sqlite:///{tmp_path / 'redrive.db'}")
    return tmp_path / "redrive.db"


def run(*options: str) -> Result:
    return CliRunner().invoke(keys, ["rotate", *options])


def _killed(_: Sql) -> None:
    raise OSError("simulated kill")


async def sent() -> str:
    """Send one request, or find its message again; return the message id."""
    settings = Settings()
    store = open_store(settings)
    async with EventStore(store) as log:
        vault = open_vault(store, settings)
        if await log.read(vault.page_secrets(PAGE)) is None:
            kept = vault.save_page_secrets(PAGE, PageSecrets(access_token=TOKEN), 1)
            await log.commit(Commit([StreamEvents(page_stream(PAGE), 0, [page_registered()])], also=kept))
        command = send_message(content=Content(text="Hello"), request_id="r-1", title="Spring sale")
        message = (await SendService(log, vault, wall_clock).send(command, [RECIPIENT])).message
        assert message.title != "Spring sale"
        assert vault.labels.titles.open(message.title, message.message_id) == "Spring sale"
        return message.message_id


async def test_a_key_file_is_replaced_and_earlier_requests_keep_their_answers(database: Path) -> None:
    first = await sent()
    file = database.with_name("redrive.db.key")
    old = file.read_text()

    result = run()

    assert result.exit_code == 0, result.output
    assert "page_secrets: 1 encrypted with the new key\nmessage_keys: 1 encrypted with the new key" in result.output
    assert file.read_text() != old
    assert file.stat().st_mode & 0o777 == 0o600
    assert not file.with_name("redrive.db.key.new").exists()
    assert file.read_text().strip() not in result.output
    assert await sent() == first
    file.write_text(old)
    with pytest.raises(StartRefusedError, match="does not decrypt this database"):
        await sent()


async def test_a_key_in_the_settings_is_replaced(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = random_key(), random_key()
    monkeypatch.setenv("REDRIVE_SECRET_KEY", old)
    first = await sent()
    monkeypatch.setenv("REDRIVE_NEW_SECRET_KEY", new)

    assert "start the servers with the new key" in run().output

    monkeypatch.setenv("REDRIVE_SECRET_KEY", new)
    assert await sent() == first
    assert run().output == "redrive-server keys rotate: the new key is the one in use\n"


async def test_an_interrupted_rotation_prevents_server_starts_and_continues(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await sent()
    with monkeypatch.context() as killed:
        killed.setattr("server.crypto.server_keys.end_rotation", _killed)
        assert run().exit_code == 1

    with pytest.raises(StartRefusedError, match="a key rotation was interrupted: run `redrive-server keys rotate`"):
        await sent()
    monkeypatch.setenv("REDRIVE_NEW_SECRET_KEY", random_key())
    assert "was interrupted" in run().output
    monkeypatch.delenv("REDRIVE_NEW_SECRET_KEY")

    assert run().exit_code == 0
    assert await sent() == first


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("not base64", "REDRIVE_NEW_SECRET_KEY is not base64"),
        (base64.b64encode(b"short").decode(), "REDRIVE_NEW_SECRET_KEY holds 5 bytes, not 32"),
    ],
)
async def test_an_invalid_new_key_is_refused(
    database: Path, monkeypatch: pytest.MonkeyPatch, key: str, words: str
) -> None:
    first = await sent()
    monkeypatch.setenv("REDRIVE_NEW_SECRET_KEY", key)

    assert run().output == f"redrive-server keys rotate: {words}\n"

    assert await sent() == first


async def test_a_missing_new_key_and_a_database_in_use_are_refused(
    database: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("REDRIVE_SECRET_KEY", random_key())
    await sent()

    assert "REDRIVE_NEW_SECRET_KEY is not set" in run().output
    (tmp_path / "key").write_text(random_key())
    with closing(open_store(Settings())):
        assert "in use by another process" in run("--new-key-file", str(tmp_path / "key")).output
