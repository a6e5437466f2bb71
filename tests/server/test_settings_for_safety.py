"""Settings that would expose a secret are refused."""

import pytest
from pydantic import ValidationError

from server.settings import Settings, SettingsError, read_settings


@pytest.mark.parametrize(
    "url", ["http://graph.example/v25.0", "http://10.0.0.7:8090/v25.0", "http://localhost.example/"]
)
def test_tokens_are_not_sent_unencrypted_over_a_network(url: str) -> None:
    with pytest.raises(ValidationError, match="page tokens would be sent in clear text"):
        Settings(graph_url=url)

    assert Settings(graph_url=url, graph_insecure=True).graph_url == url.rstrip("/")


def test_a_password_in_the_platforms_address_is_refused_because_it_is_logged() -> None:
    with pytest.raises(ValidationError, match="must be an http") as refused:
        Settings(graph_url="https://user:hidden@graph.example/v25.0")

    assert "hidden" not in str(refused.value)


@pytest.mark.parametrize(
    "url", ["https://graph.example/v25.0", "http://127.0.0.1:8090/v25.0", "http://[::1]:8090/v25.0"]
)
def test_tls_and_loopback_addresses_are_accepted(url: str) -> None:
    assert Settings(graph_url=url).graph_url == url


@pytest.mark.parametrize(
    "address",
    ["se%zzcret@db/redrive", "se cret@db/redrive", "secret@[::1/redrive", "sec@ret@db/redrive", "se/cret@db/r"],
)
def test_an_invalid_database_address_is_refused_without_its_password(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDRIVE_DATABASE_URL", f"postgresql://redrive:{address}")

    with pytest.raises(SettingsError, match="REDRIVE_DATABASE_URL") as refused:
        read_settings()

    assert "cret" not in str(refused.value)
    assert "ret@" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql:///redrive?host=/run/postgresql",
        "postgres://redrive:s%40%25@db:5432/redrive",
        "postgresql://[::1]/r",
    ],
)
def test_address_forms_that_libpq_knows_are_accepted(url: str) -> None:
    assert Settings(database_url=url).database_url == url


def test_no_setting_shows_the_server_key() -> None:
    assert "a-key-in-base64" not in repr(Settings(secret_key="a-key-in-base64"))


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("https://graph.facebook.com\u200b/v25.0", "must not hold U\\+200B ZERO WIDTH SPACE"),
        ("https://graph.facebook.com/v25.0\xa0", "must not hold U\\+00A0 NO-BREAK SPACE"),
        ("https://graph.facebook.com/v25.0\n", "must not hold U\\+000A a control character"),
        (" https://graph.facebook.com/v25.0", "must not hold U\\+0020 SPACE"),
        ("https://gr\u0430ph.facebook.com/v25.0", "must not hold U\\+0430 CYRILLIC SMALL LETTER A"),
    ],
)
def test_a_hidden_character_in_the_graph_url_is_named(url: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Settings(graph_url=url)


@pytest.mark.parametrize("pace", ["0", "-1", "1e-300", "0.0009", "100001", "nan", "inf", "-inf"])
def test_a_default_pace_that_is_too_slow_is_refused(pace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDRIVE_MESSAGES_PER_SECOND", pace)

    with pytest.raises(SettingsError, match="REDRIVE_MESSAGES_PER_SECOND"):
        read_settings()


def test_the_slowest_default_pace_is_accepted() -> None:
    assert Settings(messages_per_second=0.001).messages_per_second == 0.001
