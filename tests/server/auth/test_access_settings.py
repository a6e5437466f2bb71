"""Settings of authentication: rejected values, and their error messages."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from server.bootstrap import StartRefusedError, open_authentication, open_certificates
from server.main import cli
from server.settings import read_settings
from tests.builders import wall_clock

ALL_ADDRESSES = {"REDRIVE_LISTEN": "0.0.0.0:0"}


@pytest.mark.parametrize(
    ("environment", "text"),
    [
        (ALL_ADDRESSES, "REDRIVE_AUTH_FILE"),
        ({"REDRIVE_LISTEN": "192.0.2.1:50051"}, "REDRIVE_AUTH=database"),
        ({"REDRIVE_JWT_ISSUER": "https://login.example.org"}, "set all three"),
        ({"REDRIVE_JWT_JWKS_FILE": "jwks.json", **ALL_ADDRESSES}, "set all three"),
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
def test_the_server_does_not_start_with_unsafe_settings_and_names_the_remedy(
    environment: dict[str, str], text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("server.main.configure", lambda *_: None)  # else logs go to the closed stream

    result = CliRunner().invoke(cli, env={"REDRIVE_LISTEN": "127.0.0.1:0", **environment})

    assert result.exit_code == 1
    assert "redrive-server does not start" in result.stderr
    assert text in result.stderr


def test_authentication_allows_any_listen_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDRIVE_LISTEN", ALL_ADDRESSES["REDRIVE_LISTEN"])
    monkeypatch.setenv("REDRIVE_AUTH", "database")

    assert read_settings().knows_callers


def test_without_settings_callers_are_not_authenticated_and_tls_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read_settings()

    assert open_authentication(settings, None, wall_clock) is None  # type: ignore[arg-type]
    assert open_certificates(settings) is None


def test_an_unreadable_file_is_refused_by_its_settings_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "callers.json").write_text("{")
    monkeypatch.setenv("REDRIVE_AUTH_FILE", str(tmp_path / "callers.json"))

    with pytest.raises(StartRefusedError, match="REDRIVE_AUTH_FILE"):
        open_authentication(read_settings(), None, wall_clock)  # type: ignore[arg-type]
