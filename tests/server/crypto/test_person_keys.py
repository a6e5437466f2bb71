"""Keys per recipient: each key opens only what it sealed."""

import pytest
from cryptography.exceptions import InvalidTag

from server.crypto import person_keys
from server.crypto.key_ring import new_key
from server.crypto.person_keys import BatchKeys, PersonErasedError, new_keys, pack, unpack
from server.crypto.vault import Vault


def test_a_name_and_variables_are_restored() -> None:
    key = new_keys(3).key_at(1)

    assert key.name(key.seal_name("Ann")) == "Ann"
    assert key.variables(key.seal_variables({"city": "Huế"})) == {"city": "Huế"}


def test_empty_values_are_not_sealed() -> None:
    key = new_keys(1).key_at(0)

    assert (key.seal_name(""), key.seal_variables({})) == (b"", b"")
    assert (key.name(b""), key.variables(b"")) == ("", {})


def test_another_recipients_key_does_not_open_it() -> None:
    keys = new_keys(2)
    sealed = keys.key_at(0).seal_name("Ann")

    with pytest.raises(InvalidTag):
        keys.key_at(1).name(sealed)
    with pytest.raises(InvalidTag):
        keys.key_at(0).variables(sealed)


def test_a_destroyed_key_is_removed_and_the_others_are_unchanged() -> None:
    keys = new_keys(3)
    sealed = [keys.key_at(position).seal_name(name) for position, name in enumerate(["Ann", "Bob", "Cy"])]

    left = keys.without([1])

    assert (left.key_at(0).name(sealed[0]), left.key_at(2).name(sealed[2])) == ("Ann", "Cy")
    with pytest.raises(PersonErasedError):
        left.key_at(1)


def test_the_keys_of_a_batch_open_in_their_own_context_only() -> None:
    vault, keys = Vault(new_key()), new_keys(2)
    kept = keys.seal(vault, ("m-1", 1))
    sealed = keys.key_at(0).seal_name("Ann")

    assert person_keys.open_keys(vault, ("m-1", 1), kept).key_at(0).name(sealed) == "Ann"
    with pytest.raises(InvalidTag):
        person_keys.open_keys(vault, ("m-1", 2), kept)
    with pytest.raises(InvalidTag):
        person_keys.open_keys(Vault(new_key()), ("m-1", 1), kept)


def test_joined_parts_can_be_separated() -> None:
    assert unpack(pack([b"a", b"", b"c"])) == [b"a", b"", b"c"]
    assert pack([b"", b""]) == b""
    assert list(unpack(b"")) == []


def test_keys_are_not_shown() -> None:
    assert "\\x" not in repr(BatchKeys(bytes(range(32))))
