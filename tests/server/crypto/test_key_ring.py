"""Encryption keys: data opens only with the same key and in the same context."""

import base64
import stat
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag
from hypothesis import given, settings
from hypothesis import strategies as st

from server.crypto.key_ring import SealingKey, SecretKeyError, load_or_create_key, new_key, parse_key

KEY = base64.b64encode(bytes(range(32))).decode()


@settings(derandomize=True)
@given(st.binary(max_size=200), st.text(max_size=20))
def test_sealed_data_opens_again(clear: bytes, context: str) -> None:
    key = parse_key(KEY)

    assert key.open(key.seal(clear, context), context) == clear


def test_sealed_data_hides_its_content_and_is_never_the_same() -> None:
    key = new_key()

    sealed = {key.seal(b"a secret text", "content/m-1") for _ in range(50)}

    assert len(sealed) == 50
    assert not any(b"secret" in one for one in sealed)


def test_another_key_does_not_open_it() -> None:
    with pytest.raises(InvalidTag):
        new_key().open(new_key().seal(b"secret", "a"), "a")


def test_it_does_not_open_in_another_context() -> None:
    key = new_key()

    with pytest.raises(InvalidTag):
        key.open(key.seal(b"secret", "page/1/1"), "page/2/1")


def test_changed_data_does_not_open() -> None:
    key = new_key()
    sealed = bytearray(key.seal(b"secret", "a"))
    sealed[-1] ^= 1

    with pytest.raises(InvalidTag):
        key.open(bytes(sealed), "a")


def test_a_key_can_be_sealed_with_another() -> None:
    inner, outer = new_key(), new_key()
    sealed = inner.seal(b"secret", "content/m-1")

    opened = SealingKey(outer.open(inner.sealed_with(outer, "key/m-1"), "key/m-1"))

    assert opened.open(sealed, "content/m-1") == b"secret"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("not base64!", "not base64"),
        (base64.b64encode(b"too short").decode(), "holds 9 bytes, not 32"),
        (base64.b64encode(bytes(33)).decode(), "holds 33 bytes, not 32"),
        ("", "holds 0 bytes, not 32"),
    ],
)
def test_an_invalid_key_is_refused_and_not_shown(text: str, words: str) -> None:
    with pytest.raises(SecretKeyError, match=words) as refused:
        parse_key(text)

    assert not text or text not in str(refused.value)


def test_a_key_is_not_shown() -> None:
    key = parse_key(KEY)

    assert KEY not in repr(key)
    assert repr(bytes(range(32))) not in repr(key)


def test_a_key_file_is_created_once_and_is_private(tmp_path: Path) -> None:
    path = tmp_path / "redrive.db.key"

    sealed = load_or_create_key(path).seal(b"secret", "a")

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_or_create_key(path).open(sealed, "a") == b"secret"


def test_every_database_has_its_own_key(tmp_path: Path) -> None:
    sealed = load_or_create_key(tmp_path / "one.key").seal(b"secret", "a")

    with pytest.raises(InvalidTag):
        load_or_create_key(tmp_path / "two.key").open(sealed, "a")


def test_a_damaged_key_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "redrive.db.key"
    path.write_text("spoilt\n")

    with pytest.raises(SecretKeyError):
        load_or_create_key(path)
