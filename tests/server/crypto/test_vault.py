"""The vault: secrets open with the right key only, and no file of the database shows them."""

from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag

from domain.commands import Recipient
from domain.content import Attachment, Content, QuickReply
from projections.sql import Sql
from server.commands.send import SendService
from server.crypto.key_ring import new_key
from server.crypto.vault import MessageKey, PageSecrets, StoredPageSecrets, Vault
from server.eventstore.commit import Commit
from server.eventstore.event_store import EventStore
from tests.builders import MESSAGE, NOW, PAGE, TOKEN, send_message
from tests.server.eventstore.event_log_conformance import registered

CONTENT = Content(
    text="Half price on velvet curtains, {{name}}: code {{code}}",
    attachment=Attachment(type="template", template={"title": "a velvet surprise"}),
    quick_replies=[QuickReply(title="Yes, velvet", payload="velvet-yes")],
    tag="ACCOUNT_UPDATE",
)
SECRETS = PageSecrets(access_token=TOKEN, app_secret="app-secret-4711")


@pytest.fixture
def vault() -> Vault:
    return Vault(new_key())


# Pages


async def test_a_pages_secrets_are_restored_with_their_generation(sqlite_log: EventStore, vault: Vault) -> None:
    await sqlite_log.write(vault.save_page_secrets(PAGE, SECRETS, 3))

    assert await sqlite_log.read(vault.page_secrets(PAGE)) == StoredPageSecrets(SECRETS, 3)


async def test_new_secrets_replace_the_old(sqlite_log: EventStore, vault: Vault) -> None:
    renewed = PageSecrets(access_token="another")
    for generation, secrets in enumerate([SECRETS, renewed], start=1):
        await sqlite_log.write(vault.save_page_secrets(PAGE, secrets, generation))

    assert await sqlite_log.read(vault.page_secrets(PAGE)) == StoredPageSecrets(renewed, 2)


async def test_an_unregistered_page_has_no_secrets(sqlite_log: EventStore, vault: Vault) -> None:
    assert await sqlite_log.read(vault.page_secrets(PAGE)) is None


async def test_secrets_copied_to_another_page_do_not_open(sqlite_log: EventStore, vault: Vault) -> None:
    await sqlite_log.write(vault.save_page_secrets(PAGE, SECRETS, 1))
    copy = "INSERT INTO page_secrets SELECT '2002', token_generation, sealed FROM page_secrets"
    await sqlite_log.write(lambda sql: _run(sql, copy))

    with pytest.raises(InvalidTag):
        await sqlite_log.read(vault.page_secrets("2002"))


async def test_another_server_key_opens_nothing(sqlite_log: EventStore, vault: Vault) -> None:
    key = vault.new_message_key(MESSAGE)
    await sqlite_log.write(vault.save_page_secrets(PAGE, SECRETS, 1))
    await sqlite_log.write(vault.save_message_key(MESSAGE, key))
    other = Vault(new_key())

    with pytest.raises(InvalidTag):
        await sqlite_log.read(other.page_secrets(PAGE))
    with pytest.raises(InvalidTag):
        await sqlite_log.read(other.message_key(MESSAGE))


def test_secrets_are_not_shown() -> None:
    assert TOKEN not in repr(StoredPageSecrets(SECRETS, 1))


# Messages


async def test_a_message_opens_with_its_own_key(sqlite_log: EventStore, vault: Vault) -> None:
    key = vault.new_message_key(MESSAGE)
    sealed = key.seal_content(CONTENT)
    await sqlite_log.write(vault.save_message_key(MESSAGE, key))

    kept = await sqlite_log.read(vault.message_key(MESSAGE))

    opened = kept.open_content(sealed)
    assert (opened.text, opened.attachment, opened.tag) == (CONTENT.text, CONTENT.attachment, CONTENT.tag)
    assert list(opened.quick_replies) == list(CONTENT.quick_replies)


async def test_a_message_without_a_key_cannot_be_opened(sqlite_log: EventStore, vault: Vault) -> None:
    with pytest.raises(KeyError):
        await sqlite_log.read(vault.message_key(MESSAGE))


def test_a_message_does_not_open_with_another_messages_key(vault: Vault) -> None:
    sealed = vault.new_message_key("m-1").seal_content(CONTENT)

    with pytest.raises(InvalidTag):
        vault.new_message_key("m-2").open_content(sealed)


async def test_a_key_copied_to_another_message_does_not_open(sqlite_log: EventStore, vault: Vault) -> None:
    await sqlite_log.write(vault.save_message_key(MESSAGE, vault.new_message_key(MESSAGE)))
    copy = "INSERT INTO message_keys (message_id, sealed) SELECT 'm-2', sealed FROM message_keys"
    await sqlite_log.write(lambda sql: _run(sql, copy))

    with pytest.raises(InvalidTag):
        await sqlite_log.read(vault.message_key("m-2"))


def test_a_content_copied_to_another_message_does_not_open_even_with_its_key() -> None:
    key = new_key()
    sealed = MessageKey("m-1", key).seal_content(CONTENT)

    with pytest.raises(InvalidTag):
        MessageKey("m-2", key).open_content(sealed)


def test_recipients_keys_open_only_in_their_own_batch(vault: Vault) -> None:
    sealed = vault.seal_person_keys("batch/m-1/0/1", b"keys")

    assert vault.open_person_keys("batch/m-1/0/1", sealed) == b"keys"
    with pytest.raises(InvalidTag):
        vault.open_person_keys("batch/m-1/0/2", sealed)


def test_variables_open_only_in_their_own_batch(vault: Vault) -> None:
    key = vault.new_message_key(MESSAGE)
    sealed = key.seal_variables([{"city": "Hanoi"}, {}], 1)

    assert key.open_variables(sealed, 1) == [{"city": "Hanoi"}, {}]
    with pytest.raises(InvalidTag):
        key.open_variables(sealed, 2)


def test_without_variables_nothing_is_sealed(vault: Vault) -> None:
    key = vault.new_message_key(MESSAGE)

    assert key.seal_variables([{}, {}], 1) == b""
    assert key.open_variables(b"", 1) == ()


# Files


async def test_no_file_of_the_database_shows_a_text_name_title_variable_or_token(
    sqlite_log: EventStore, vault: Vault, tmp_path: Path
) -> None:
    await sqlite_log.commit(Commit([registered(PAGE)], also=vault.save_page_secrets(PAGE, SECRETS, 1)))
    command = send_message(content=CONTENT, title="Velvet sale", request_id="r-1")
    recipient = Recipient(
        id="visible-1", name="Velma velvet", variables={"code": "velvet-4711", "unused": "velvet-0815"}
    )

    await SendService(sqlite_log, vault, lambda: NOW).send(command, [recipient] * 2)

    on_disk = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert {path.name for path in tmp_path.iterdir()} >= {"redrive.db", "redrive.db-wal"}
    assert b"visible-1" in on_disk  # the search finds unencrypted values
    for secret in (b"velvet", b"Velvet", b"Half price", b"ACCOUNT_UPDATE", TOKEN.encode(), SECRETS.app_secret.encode()):
        assert secret not in on_disk


def _run(sql: Sql, statement: str) -> None:
    sql.execute(statement)
