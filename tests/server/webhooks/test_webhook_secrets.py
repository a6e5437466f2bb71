"""Invalid secrets of the webhook endpoint, and their error messages."""

import secrets

import pytest
from typer.testing import CliRunner

from server.main import cli
from server.webhooks.settings import APP_SECRET, VERIFY_TOKEN, secret_problem

FINE = {VERIFY_TOKEN: "verify-me-5e4f", APP_SECRET: "app-secret-7a6b"}


@pytest.mark.parametrize("name", FINE)
@pytest.mark.parametrize(
    ("secret", "text"),
    [
        ("", "is not set"),
        (" ", "is blank"),
        (" " * 40, "is blank"),
        ("\t\n", "is blank"),
        ("\u200b" * 32, "is blank"),
        ("\u3164" * 32, "is blank"),
        ("\u2800" * 32, "is blank"),
        ("x", "has 1 characters, and at least 4 are needed"),
        ("123", "has 3 characters, and at least 4 are needed"),
        ("a       b", "has 2 characters, and at least 4 are needed"),
        (f"{FINE[APP_SECRET]}\n", "begins or ends with white space (U+000A LINE FEED)"),
        (f"{FINE[APP_SECRET]}\r\n", "begins or ends with white space (U+000A LINE FEED)"),
        (f" {FINE[APP_SECRET]}", "begins or ends with white space (U+0020 SPACE)"),
        (f"{FINE[APP_SECRET]}\u00a0", "begins or ends with white space (U+00A0 NO-BREAK SPACE)"),
        ("app-\tsecret-7a6b", "holds U+0009 CHARACTER TABULATION (character 5 of 16), which cannot be seen"),
        ("app-\x1bsecret-7a6b", "holds U+001B a control character (character 5 of 16), which cannot be seen"),
        ("app-\u200bsecret-7a6b", "holds U+200B ZERO WIDTH SPACE (character 5 of 16), which cannot be seen"),
        ("\ufeffapp-secret-7a6b", "holds U+FEFF ZERO WIDTH NO-BREAK SPACE (character 1 of 16), which cannot be seen"),
        ("app-\u202esecret-7a6b", "holds U+202E RIGHT-TO-LEFT OVERRIDE (character 5 of 16), which cannot be seen"),
        ("app-\u2003secret-7a6b", "holds U+2003 EM SPACE (character 5 of 16), which cannot be seen"),
        ("app-\ufe0fsecret-7a6b", "holds U+FE0F VARIATION SELECTOR-16 (character 5 of 16), which cannot be seen"),
        ("app-\udcffsecret-7a6b", "holds U+DCFF a control character (character 5 of 16), which cannot be seen"),
    ],
)
def test_an_invalid_secret_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, name: str, secret: str, text: str
) -> None:
    monkeypatch.setattr(
        "server.cli.webhooks.configure", lambda _level: None
    )  # the log configuration would remain after the test
    result = CliRunner().invoke(cli, ["webhooks", "--listen=127.0.0.1:0"], env={**FINE, name: secret})

    assert result.exit_code == 1
    assert f"redrive-server webhooks does not start: {name} {text}: " in result.output
    assert not any(value in result.output for value in FINE.values())


@pytest.mark.parametrize("secret", ["four", "two words", "schlüssel-7a6b", "ключ-от-замка", "🔑" * 8, "x" * 500])
def test_visible_characters_are_valid_in_a_secret(secret: str) -> None:
    assert secret_problem(secret) == ""


def test_a_random_secret_is_always_accepted() -> None:
    assert {secret_problem(secrets.token_hex(16)) for _ in range(100)} == {""}
    assert {secret_problem(secrets.token_urlsafe(16)) for _ in range(100)} == {""}
