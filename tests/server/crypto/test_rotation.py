"""Rotation of the server's key: after any interruption everything opens with the new key, and nothing with the old."""

import re
from collections.abc import Collection, Iterator
from contextlib import closing

import pytest
from cryptography.exceptions import InvalidTag

from projections.sql import Sql
from server.crypto import person_keys, rotation, server_keys
from server.crypto.key_ring import SealingKey
from server.crypto.person_keys import new_keys, save_keys
from server.crypto.rotation import WrongKeyError, opens_first_rows, rotate
from server.crypto.vault import PageSecrets, Vault
from server.eventstore import operational_tables
from server.eventstore.rebuild import DatabaseInUseByWorkersError
from server.eventstore.store import Store
from tests.databases import opened

OLD, NEW, OTHER = (SealingKey(bytes([number]) * 32) for number in (1, 2, 3))
PAGES = [f"page-{number}" for number in range(5)]
MESSAGES = [f"message-{number}" for number in range(7)]
BATCHES = [("message-0", number) for number in range(3)]


class CutOffError(Exception):
    """The process was killed."""


@pytest.fixture
def store(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setattr(rotation, "ROWS_AT_ONCE", 2)
    with closing(opened(database_url)) as store:
        with store.transaction(commit=True) as sql:
            _fill(sql, Vault(OLD))
        yield store


def _fill(sql: Sql, vault: Vault) -> None:
    for generation, page_id in enumerate(PAGES, start=1):
        vault.save_page_secrets(page_id, PageSecrets(access_token=f"token of {page_id}"), generation)(sql)
    for message_id in MESSAGES:
        vault.save_message_key(message_id, vault.new_message_key(message_id))(sql)
    save_keys(vault, {place: new_keys(2) for place in BATCHES})(sql)


def assert_all_opens(store: Store, key: SealingKey) -> None:
    vault = Vault(key)
    with store.transaction(commit=False) as sql:
        tokens = [kept.secrets.access_token for page_id in PAGES if (kept := vault.page_secrets(page_id)(sql))]
        assert tokens == [f"token of {page_id}" for page_id in PAGES]
        for message_id in MESSAGES:
            vault.message_key(message_id)(sql)
        for place, sealed in person_keys.load_sealed_keys(sql, BATCHES).items():
            person_keys.open_keys(vault, place, sealed)


def test_everything_is_sealed_with_the_new_key_and_nothing_with_the_old(store: Store) -> None:
    assert rotate(store, OLD, NEW) == {"page_secrets": 5, "message_keys": 7, "person_keys": 3, "server_keys": 0}

    assert_all_opens(store, NEW)
    with store.transaction(commit=False) as sql:
        assert opens_first_rows(sql, NEW)
        assert not opens_first_rows(sql, OLD)
        with pytest.raises(InvalidTag):
            Vault(OLD).page_secrets(PAGES[0])(sql)


def test_an_interrupted_rotation_continues(store: Store) -> None:
    cuts, finished = 0, False
    while not finished:
        try:
            rotate(store, OLD, NEW, _killed_after(cuts))
            finished = True
        except CutOffError:
            cuts += 1
            with store.transaction(commit=False) as sql:
                assert server_keys.is_rotating(sql) == (cuts > 2)  # from the first changed row on

    assert cuts > 12  # every transaction was interrupted once
    assert_all_opens(store, NEW)
    with store.transaction(commit=False) as sql:
        assert not server_keys.is_rotating(sql)


def _killed_after(transactions: int) -> rotation.Workers:
    count = 0

    def interrupt(_: Sql) -> Collection[str]:
        nonlocal count
        count += 1
        if count > transactions:
            raise CutOffError
        return ()

    return interrupt


@pytest.mark.parametrize("table", ["page_secrets", "message_keys", "person_keys"])
def test_a_wrong_old_key_changes_nothing(store: Store, table: str) -> None:
    for other in {"page_secrets", "message_keys", "person_keys"} - {table}:
        with store.transaction(commit=True) as sql:
            sql.execute(f"DELETE FROM {other}")  # noqa: S608
    before = _rows(store, table)

    with pytest.raises(WrongKeyError, match=f"^{table}$"):
        rotate(store, OTHER, NEW)

    assert _rows(store, table) == before
    assert _rows(store, "server_keys") == []


def test_a_different_new_key_cannot_continue_a_rotation(store: Store) -> None:
    with pytest.raises(CutOffError):
        rotate(store, OLD, NEW, _killed_after(4))

    with pytest.raises(WrongKeyError):
        rotate(store, OLD, OTHER)

    rotate(store, OLD, NEW)
    assert_all_opens(store, NEW)


def test_a_rotation_is_refused_while_servers_run(store: Store) -> None:
    with pytest.raises(DatabaseInUseByWorkersError, match="worker-1"):
        rotate(store, OLD, NEW, lambda _: ["worker-1"])

    assert_all_opens(store, OLD)


def test_the_key_of_labels_survives_rotations_and_an_old_key_opens_none(store: Store) -> None:
    with store.transaction(commit=True) as sql:
        server_keys.make_label_key(sql, OLD)
        server_keys.make_label_key(sql, OLD)  # another process that was slower
        first = server_keys.label_key(sql, OLD)
    assert first is not None
    kept = Vault(OLD, label_key=first).labels.titles.seal("Spring sale", "m-1")

    assert rotate(store, OLD, NEW)["server_keys"] == 1
    rotate(store, NEW, OTHER)

    with store.transaction(commit=False) as sql:
        vault = Vault(OTHER, label_key=server_keys.label_key(sql, OTHER))
        assert vault.labels.titles.open(kept, "m-1") == "Spring sale"
        for old in (OLD, NEW):
            with pytest.raises(InvalidTag):
                server_keys.label_key(sql, old)
            assert Vault(old).labels.titles.open(kept, "m-1") == kept


def test_the_key_of_payload_hashes_survives_rotations(store: Store) -> None:
    first = Vault(OLD).payload_key

    rotate(store, OLD, NEW)
    rotate(store, NEW, OTHER)

    with store.transaction(commit=False) as sql:
        assert Vault(OTHER, server_keys.payload_key(sql, OTHER)).payload_key == first
        with pytest.raises(InvalidTag):
            server_keys.payload_key(sql, NEW)


def test_every_table_with_sealed_rows_is_rotated() -> None:
    names = {
        found
        for statement in operational_tables.TABLES
        if "sealed" in statement
        for found in re.findall(r"EXISTS (\w+)", statement)
    }

    assert names == {table.name for table in rotation.TABLES}


def _rows(store: Store, table: str) -> list[list[object]]:
    with store.transaction(commit=False) as sql:
        rows = sql.rows(f"SELECT * FROM {table}")  # noqa: S608
        return sorted(
            (
                [bytes(value) if isinstance(value, memoryview) else value for value in dict(row).values()]
                for row in rows
            ),
            key=repr,
        )
