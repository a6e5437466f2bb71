"""Settings of who may call: what the server refuses to start with, and in which words."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from server.bootstrap import StartRefusedError, open_authentication, open_certificates
from server.main import cli
from server.settings import read_settings
from tests.builders import wall_clock

EVERYWHERE = {"REDRIVE_LISTEN": "0.0.0.0:0"}


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        (EVERYWHERE, "REDRIVE_AUTH_FILE"),
        ({"REDRIVE_LISTEN": "192.0.2.1:50051"}, "REDRIVE_AUTH=database"),
        ({"REDRIVE_JWT_ISSUER": "https://login.example.org"}, "set all three"),
        ({"REDRIVE_JWT_JWKS_FILE": "jwks.json", **EVERYWHERE}, "set all three"),
        ({"REDRIVE_TLS_CERT": "server.pem"}, "set both"),
        ({"REDRIVE_TLS_KEY": "server.key"}, "set both"),
        ({"REDRIVE_TLS_CLIENT_CA": "ca.pem"}, "REDRIVE_TLS_CLIENT_CA needs"),
        ({"REDRIVE_AUTH": "none"}, "REDRIVE_AUTH"),
        ({"REDRIVE_REQUESTS_PER_SECOND": "0"}, "REDRIVE_REQUESTS_PER_SECOND"),
        ({"REDRIVE_REFLECTION": "maybe"}, "REDRIVE_REFLECTION"),
        ({"REDRIVE_AUTH_FILE": "nowhere.json"}, "redrive-server tokens create"),
        ({"REDRIVE_TLS_CERT": "nowhere.pem", "REDRIVE_TLS_KEY": "nowhere.key"}, "REDRIVE_TLS_CERT: nowhere.pem"),
    ],
)
def test_the_server_does_not_start_and_says_how_to_mend_it(
    environment: dict[str, str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("server.main.configure", lambda *_: None)  # logs would go to the runner's stream for good

    result = CliRunner().invoke(cli, env={"REDRIVE_LISTEN": "127.0.0.1:0", **environment})

    assert result.exit_code == 1
    assert "redrive-server does not start" in result.stderr
    assert words in result.stderr


def test_with_authentication_any_address_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDRIVE_LISTEN", EVERYWHERE["REDRIVE_LISTEN"])
    monkeypatch.setenv("REDRIVE_AUTH", "database")

    assert read_settings().knows_callers


def test_where_nothing_is_set_nobody_is_asked_and_nothing_is_encrypted(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read_settings()

    assert open_authentication(settings, None, wall_clock) is None  # type: ignore[arg-type]
    assert open_certificates(settings) is None


def test_a_file_that_cannot_be_read_is_refused_by_its_settings_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "callers.json").write_text("{")
    monkeypatch.setenv("REDRIVE_AUTH_FILE", str(tmp_path / "callers.json"))

    with pytest.raises(StartRefusedError, match="REDRIVE_AUTH_FILE"):
        open_authentication(read_settings(), None, wall_clock)  # type: ignore[arg-type]
