"""Ids of messages show whether they were made with the key, and each aggregate has a stream of its own."""

from uuid import UUID, uuid4

from domain import streams
from domain.message import is_keyed, keyed_message_id


def test_a_keyed_id_is_a_uuid_of_version_8() -> None:
    made = UUID(keyed_message_id(bytes(range(16))))

    assert (made.version, made.variant) == (8, "specified in RFC 4122")
    assert str(made) == "00010203-0405-8607-8809-0a0b0c0d0e0f"


def test_only_the_first_16_bytes_count() -> None:
    assert keyed_message_id(bytes(range(32))) == keyed_message_id(bytes(range(16)))
    assert keyed_message_id(b"\xff" * 16) == "ffffffff-ffff-8fff-bfff-ffffffffffff"


def test_only_ids_of_version_8_are_keyed() -> None:
    assert is_keyed(keyed_message_id(bytes(16)))
    assert not is_keyed(str(uuid4()))
    assert not is_keyed(keyed_message_id(bytes(16)) + "0")
    assert not is_keyed("")


def test_each_aggregate_has_a_stream() -> None:
    assert [
        streams.message_stream("m"),
        streams.batch_stream("m", 1, 2),
        streams.receipts_stream("m", 1, 2),
        streams.cleanup_stream("c"),
        streams.person_stream("r"),
        streams.page_stream("p"),
    ] == ["message/m", "batch/m/1/2", "receipts/m/1/2", "cleanup/c", "person/r", "page/p"]
