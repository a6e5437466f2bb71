"""Ids that only a server with the secret key can create."""

from uuid import UUID, uuid4, uuid5

import pytest

from domain.delivery import parse_delivery_id
from domain.message import is_keyed
from server.crypto.key_ring import new_key
from server.crypto.keyed_ids import KeyedIds, older_message_id
from server.crypto.vault import Vault
from tests.keyed_ids import IDS, keyed

OLDER = UUID("5d3c0d7e-52a4-4cf2-9c8f-0e3a6f2f8b11")


def test_another_key_gives_another_id_for_the_same_request() -> None:
    found = {Vault(new_key()).ids.new_message("crm", "r-1") for _ in range(20)}

    assert len(found) == 20
    assert IDS.new_message("crm", "r-1") == IDS.new_message("crm", "r-1")
    assert older_message_id("crm", "r-1") not in found


@pytest.mark.parametrize("other", [("crm", "r-2"), ("shop", "r-1"), ("crm\x00r", "-1"), ("", "crm\x00r-1")])
def test_different_requests_have_different_ids(other: tuple[str, str]) -> None:
    assert IDS.new_message(*other) != IDS.new_message("crm", "r-1")


def test_ids_are_uuids_of_their_own_version() -> None:
    for id_ in (IDS.new_message("crm", "r-1"), IDS.new_message("crm", "")):
        assert (UUID(id_).version, str(UUID(id_))) == (8, id_)
        assert is_keyed(id_)
    assert not any(map(is_keyed, (str(uuid4()), str(uuid5(OLDER, "x")), "m-1", "", "8" * 36 + "8")))


def test_messages_without_a_request_id_have_different_ids() -> None:
    assert len({IDS.new_message("crm", "") for _ in range(100)}) == 100


def test_a_delivery_is_found_by_its_id() -> None:
    message_id = keyed(7)

    assert IDS.verified_place(IDS.delivery(message_id, 3, 41)) == (message_id, 3, 41)
    assert parse_delivery_id(IDS.delivery(message_id, 3, 41)) == (message_id, 3, 41)


@pytest.mark.parametrize("message_id", ["m-1", str(uuid5(OLDER, "crm\x00r-1")), str(UUID(int=7, version=4))])
def test_deliveries_of_earlier_releases_keep_their_ids(message_id: str) -> None:
    assert IDS.delivery(message_id, 1, 0) == f"{message_id}.1.0"
    assert IDS.verified_place(f"{message_id}.1.0") == (message_id, 1, 0)


def test_metadata_without_a_valid_tag_has_no_delivery() -> None:
    genuine, other = IDS.delivery(keyed(7), 1, 0), Vault(new_key()).ids
    place, _, tag = genuine.rpartition(".")
    made_up = [
        *(
            place,
            f"{place}.",
            f"{place}.{'0' * 20}",
            f"{place}.{tag[:-1]}",
            f"{place}.{tag}0",
            f"{place}.{tag.upper()}",
        ),
        *(f"{keyed(7)}.1.1.{tag}", f"{keyed(7)}.2.0.{tag}", f"{keyed(8)}.1.0.{tag}", f"{keyed(7)}.01.0.{tag}"),
        *(other.delivery(keyed(7), 1, 0), f"m-1.1.0.{tag}", f" {genuine}", f"{genuine}\n", f"{keyed(7).upper()}.1.0"),
        *("", "...", "order-7", f"{keyed(7)}.1.0.{'é' * 20}", f"m-1.{'9' * 5_000}.0", "m-1.٣.0"),
    ]

    assert [text for text in made_up if IDS.verified_place(text) is not None] == []


def test_tags_remain_valid_after_a_rotation_of_the_servers_key() -> None:
    before = Vault(new_key())
    after = Vault(new_key(), before.payload_key)

    assert after.ids.delivery(keyed(7), 1, 0) == before.ids.delivery(keyed(7), 1, 0)
    assert after.ids.new_message("crm", "r-1") != before.ids.new_message("crm", "r-1")


def test_no_key_is_shown() -> None:
    ids = KeyedIds(b"secret-key-of-messages", b"secret-key-of-tags")

    assert "secret" not in repr(ids)
