"""REDRIVE_AUTH_FILE: callers by token hash, and by the names in their TLS certificates.

A JSON object {"tokens": [...], "clients": [...]}. `redrive-server tokens` writes the tokens; an operator writes the
clients: {"name": "crm.example.org", "owner": "crm", "scopes": ["send", "read"]}.
"""

import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec

from server.auth.caller import Caller, Owner, Scope, caller_with
from server.auth.reloaded_file import ReloadedFile
from server.auth.tokens import Token, by_hash
from server.runtime import file_lock

LOCK_SECONDS = 10.0  # how long a change waits for another one, which takes milliseconds


class CertifiedClient(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A caller that presents a certificate with this name."""

    name: str
    owner: Owner
    scopes: frozenset[Scope]


class AuthFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The content of the file."""

    tokens: tuple[Token, ...] = ()
    clients: tuple[CertifiedClient, ...] = ()


class _Entries(NamedTuple):
    """Tokens by hash, clients by certificate name."""

    tokens: Mapping[str, Token]
    clients: Mapping[str, CertifiedClient]


_decoder = msgspec.json.Decoder(AuthFile)


class FileCredentials:
    """The callers in the file, read again when the file changes."""

    def __init__(self, path: Path) -> None:
        """Read the file; raises OSError, and ValueError if it is malformed."""
        self._file = ReloadedFile(path, _parse)

    async def find(self, sha256: str) -> Token | None:
        """Return the token with this hash, or None."""
        return self._file.latest().tokens.get(sha256)

    def certified(self, names: Sequence[str]) -> Caller | None:
        """Return the caller of the first listed name of a certificate, or None."""
        clients = self._file.latest().clients
        client = next((clients[name] for name in names if name in clients), None)
        return None if client is None else caller_with(client.owner, client.scopes)


def _parse(raw: bytes) -> _Entries:
    file = _decoder.decode(raw)
    return _Entries(by_hash(file.tokens), {client.name: client for client in file.clients})


class TokenFile:
    """Changes the tokens in the file; creates the file, readable by its owner only, if it does not exist."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def all(self) -> Sequence[Token]:
        """Return every token; raises OSError, ValueError."""
        return self._read().tokens

    def add(self, token: Token) -> None:
        """Add a token."""
        self._change(lambda tokens: (*tokens, token))

    def remove(self, token_id: str) -> bool:
        """Remove a token; return False if no token has this id."""
        if all(token.id != token_id for token in self.all()):
            return False
        self._change(lambda tokens: tuple(token for token in tokens if token.id != token_id))
        return True

    def _change(self, change: Callable[[tuple[Token, ...]], tuple[Token, ...]]) -> None:
        """Replace the file in one step: a concurrent reader sees the old content or the new one."""
        with self._locked():
            file = self._read()
            changed = msgspec.structs.replace(file, tokens=change(file.tokens))
            written = self._path.with_name(f".{self._path.name}.new")
            with os.fdopen(os.open(written, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
                self._copy_permissions(out.fileno())
                out.write(msgspec.json.format(msgspec.json.encode(changed), indent=2) + b"\n")
                out.flush()
                os.fsync(out.fileno())
            written.replace(self._path)

    def _copy_permissions(self, written: int) -> None:
        """Keep the file readable by the server, which would otherwise keep accepting revoked tokens."""
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
    def _locked(self) -> Iterator[None]:
        """Exclude other `redrive-server tokens` commands; raises LockHeldError, an OSError, after LOCK_SECONDS."""
        with file_lock.acquire(self._path.with_name(f".{self._path.name}.lock"), within=LOCK_SECONDS):
            yield
