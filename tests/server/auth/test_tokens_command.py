"""`redrive-server tokens`, and how a server uses the stored tokens."""

import json
import os
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from server.auth.auth_file import FileCredentials
from server.auth.caller import Scope
from server.auth.tokens import hash_of
from server.eventstore.sqlite.store import SqliteStore
from server.main import cli


class Commands:
    """Runs the commands with its own settings."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(cli, ["tokens", *arguments], env=self._environment)

    def create(self, *options: str) -> str:
        result = self.run("create", "--owner", "crm", "--scope", "send", *options)
        assert result.exit_code == 0, result.stderr
        return result.stdout.strip()

    def ids(self) -> list[str]:
        return [line.split()[0] for line in self.run("list").stdout.splitlines()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "callers.json"


@pytest.fixture(params=["file", "database"])
def commands(request: pytest.FixtureRequest, path: Path, tmp_path: Path) -> Commands:
    database = f"sqlite:///{tmp_path / 'redrive.db'}"
    in_file = {"REDRIVE_AUTH_FILE": str(path)} if request.param == "file" else {"REDRIVE_AUTH": "database"}
    return Commands({"REDRIVE_DATABASE_URL": database, **in_file})


def test_tokens_are_created_listed_and_revoked(commands: Commands) -> None:
    assert commands.ids() == []
    secrets = [commands.create(), commands.create("--scope", "read", "--days", "7")]
    listed = commands.run("list").stdout
    first, second = commands.ids()

    revoked = commands.run("revoke", first)

    assert len(set(secrets)) == 2
    assert "send,read" in listed
    assert not any(secret in listed for secret in secrets)
    assert revoked.exit_code == 0
    assert commands.ids() == [second]
    assert commands.run("revoke", first).exit_code == 1


@pytest.mark.parametrize("owner", ["", "*", "two words", "x" * 129])
def test_an_invalid_owner_is_refused(owner: str, commands: Commands) -> None:
    result = commands.run("create", "--owner", owner, "--scope", "send")

    assert result.exit_code == 1
    assert commands.ids() == []


async def test_the_token_file_holds_hashes_only_and_is_private(path: Path) -> None:
    secret = Commands({"REDRIVE_AUTH_FILE": str(path)}).create()

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert secret not in path.read_text()
    found = await FileCredentials(path).find(hash_of(secret))
    assert found is not None
    assert (found.owner, found.scopes) == ("crm", frozenset({Scope.SEND}))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can change the owner of a file")
def test_a_file_of_the_servers_user_stays_readable_to_it_when_root_changes_it(path: Path) -> None:
    commands = Commands({"REDRIVE_AUTH_FILE": str(path)})
    commands.create()
    os.chown(path, 10_001, 10_002)
    path.chmod(0o640)

    commands.run("revoke", *commands.ids())

    after = path.stat()
    assert (after.st_uid, after.st_gid, stat.S_IMODE(after.st_mode)) == (10_001, 10_002, 0o640)


def test_manually_written_clients_stay_in_the_file(path: Path) -> None:
    client = {"name": "crm.example.org", "owner": "crm", "scopes": ["read"]}
    path.write_text(json.dumps({"clients": [client]}))

    Commands({"REDRIVE_AUTH_FILE": str(path)}).create()

    assert json.loads(path.read_text())["clients"] == [client]


NO_ZONE = {"id": "a", "owner": "crm", "scopes": [], "sha256": "-", "create_time": "2026-01-01T00:00:00"}


@pytest.mark.parametrize(
    "content",
    [
        *("{", "[]", '{"tokens": [{"id": "a"}]}', '{"clients": [{"name": 1}]}', '{"x": []}'),
        json.dumps({"tokens": [NO_ZONE]}),
    ],
)
def test_an_unreadable_token_file_is_not_changed(content: str, path: Path) -> None:
    path.write_text(content)

    result = Commands({"REDRIVE_AUTH_FILE": str(path)}).run("create", "--owner", "crm", "--scope", "send")

    assert result.exit_code == 1
    assert path.read_text() == content


def test_a_database_in_use_is_refused_with_a_remedy(tmp_path: Path) -> None:
    database = tmp_path / "redrive.db"
    store = SqliteStore(database)

    result = Commands({"REDRIVE_DATABASE_URL": f"sqlite:///{database}"}).run("list")

    store.close()
    assert result.exit_code == 1
    assert "REDRIVE_AUTH_FILE" in result.stderr
