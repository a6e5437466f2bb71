"""The file that says who may call: tokens by their hashes, and clients by the names in their certificates.

A JSON object {"tokens": [...], "clients": [...]}. `redrive-server tokens` writes the tokens; clients are written by
hand: {"name": "crm.example.org", "owner": "crm", "scopes": ["send", "read"]}.
"""

import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec

from server.auth.caller import Caller, Owner, Scope, known
from server.auth.tokens import Token, by_hash
from server.auth.watched_file import WatchedFile
from server.runtime import file_lock

LOCK_SECONDS = 10.0  # that a change of the file waits for another, which takes milliseconds


class CertifiedClient(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who presents a certificate with this name."""

    name: str
    owner: Owner
    scopes: frozenset[Scope]


class AuthFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of the file."""

    tokens: tuple[Token, ...] = ()
    clients: tuple[CertifiedClient, ...] = ()


class _Known(NamedTuple):
    tokens: Mapping[str, Token]
    clients: Mapping[str, CertifiedClient]


_decoder = msgspec.json.Decoder(AuthFile)


class KnownByFile:
    """Whom the file names now."""

    def __init__(self, path: Path) -> None:
        """Raises OSError, and ValueError for a file that says something else."""
        self._file = WatchedFile(path, _known)

    async def find(self, sha256: str) -> Token | None:
        """The token with this hash, or None."""
        return self._file.latest().tokens.get(sha256)

    def certified(self, names: Sequence[str]) -> Caller | None:
        """Whose certificate has these names; the first that is known decides."""
        clients = self._file.latest().clients
        client = next((clients[name] for name in names if name in clients), None)
        return None if client is None else known(client.owner, client.scopes)


def _known(raw: bytes) -> _Known:
    file = _decoder.decode(raw)
    return _Known(by_hash(file.tokens), {client.name: client for client in file.clients})


class TokenFile:
    """Changes the tokens of the file, which is made when it is not there, readable by its owner only."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def all(self) -> Sequence[Token]:
        """Every token; raises OSError, ValueError."""
        return self._read().tokens

    def add(self, token: Token) -> None:
        """Lets a token in."""
        self._change(lambda tokens: (*tokens, token))

    def remove(self, token_id: str) -> bool:
        """Lets a token in no more; False when there is none with this id."""
        if all(token.id != token_id for token in self.all()):
            return False
        self._change(lambda tokens: tuple(token for token in tokens if token.id != token_id))
        return True

    def _change(self, change: Callable[[tuple[Token, ...]], tuple[Token, ...]]) -> None:
        """In one step: whoever reads it meanwhile finds all of the old one or all of the new one."""
        with self._alone():
            file = self._read()
            changed = msgspec.structs.replace(file, tokens=change(file.tokens))
            written = self._path.with_name(f".{self._path.name}.new")
            with os.fdopen(os.open(written, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
                self._keep_reader(out.fileno())
                out.write(msgspec.json.format(msgspec.json.encode(changed), indent=2) + b"\n")
                out.flush()
                os.fsync(out.fileno())
            written.replace(self._path)

    def _keep_reader(self, written: int) -> None:
        """A server that cannot read the new file would go on with the old one, revoked tokens included."""
        if not self._path.exists():
            return
        before, after = self._path.stat(), os.fstat(written)
        if (before.st_uid, before.st_gid) != (after.st_uid, after.st_gid):
            os.fchown(written, before.st_uid, before.st_gid)
        os.fchmod(written, stat.S_IMODE(before.st_mode))

    def _read(self) -> AuthFile:
        try:
            return _decoder.decode(self._path.read_bytes())
        except FileNotFoundError:
            return AuthFile()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Wait for another `redrive-server tokens`; raises LockHeldError, an OSError, when it takes too long."""
        with file_lock.acquire(self._path.with_name(f".{self._path.name}.lock"), within=LOCK_SECONDS):
            yield
