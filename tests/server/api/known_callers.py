"""Callers with all kinds of credentials, for a server with authentication."""

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import msgspec

from server.api.interceptors.gate import Gate
from server.api.interceptors.limits import Limits
from server.auth.auth_file import AuthFile, CertifiedClient, FileCredentials, TokenFile
from server.auth.authentication import Authentication
from server.auth.caller import Scope
from server.auth.certificates import Certificates
from server.auth.signed_tokens import SignedTokens
from server.auth.tokens import new_token
from server.background.stuck_batches import StuckBatches
from server.progress.hub import ProgressHub
from tests.builders import WORKER, wall_clock
from tests.server.api.edge import Edge, running_edge
from tests.server.api.rpcs import Metadata
from tests.server.auth.certified import Authority, Certified
from tests.server.auth.provider import AUDIENCE, ISSUER, Provider

LISTED = "crm.example.org"
HOST = "localhost"


def token_metadata(token: str) -> Metadata:
    """Return the metadata of a call with this token."""
    return (("authorization", f"Bearer {token}"),)


class Callers:
    """A token file, an identity provider, and a certificate authority."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "callers.json"
        self.provider = Provider()
        self.authority = Authority()
        crm = CertifiedClient(name=LISTED, owner="crm", scopes=frozenset({Scope.READ}))
        self.file.write_bytes(msgspec.json.encode(AuthFile(clients=(crm,))))

    def token(self, owner: str, *scopes: Scope, seconds: float = 3_600) -> str:
        """Create a token, and add it to the file."""
        now = wall_clock()
        made = new_token(owner, scopes, now=now, expire_time=now + timedelta(seconds=seconds))
        TokenFile(self.file).add(made.kept)
        return made.secret

    def revoke_all(self, owner: str) -> None:
        """Revoke all tokens of an owner."""
        kept = TokenFile(self.file)
        for token in kept.all():
            assert token.owner != owner or kept.remove(token.id)

    def gate(self, limits: Limits | None = None, **options: Any) -> Gate:
        """Return a gate that accepts all of them."""
        keys = self.provider.write_keys(self.folder / "jwks.json")
        signed = SignedTokens(issuer=ISSUER, audience=AUDIENCE, jwks_file=keys)
        return Gate(Authentication(wall_clock, file=FileCredentials(self.file), signed=signed), limits, **options)

    def certificates(self, name: str = HOST) -> Certificates:
        """Return the server's certificates for mutual TLS."""
        trusted = self.folder / "authority.pem"
        trusted.write_bytes(self.authority.certificate)
        return Certificates(*self.authority.certify(name, name).write(self.folder), trusted)


class _IdleDispatcher:
    def wake(self) -> None:
        """Do nothing: these tests send nothing."""

    def is_running(self, batch: tuple[str, int]) -> bool:
        return False


def stuck_batches(log: Any) -> StuckBatches:
    """Return the real service with an idle dispatcher."""
    dispatcher: Any = _IdleDispatcher()
    return StuckBatches(log, dispatcher, WORKER, wall_clock)


@asynccontextmanager
async def guarded_edge(callers: Callers, **options: Any) -> AsyncIterator[Edge]:
    """Run an API with authentication; its message services are real."""
    options = {"gate": callers.gate(), **options}

    def progress(log: Any) -> ProgressHub:
        return ProgressHub(log, wall_clock, timedelta(seconds=15))

    async with running_edge(callers.folder, progress=progress, stuck_batches=stuck_batches, **options) as edge:
        yield edge


def secure_wire(edge: Edge, authority: Authority, mine: Certified | None) -> grpc.aio.Channel:
    """Return a channel to an API that serves TLS."""
    key, chain = (mine.key, mine.chain) if mine else (None, None)
    credentials = grpc.ssl_channel_credentials(authority.certificate, key, chain)
    options = [("grpc.use_local_subchannel_pool", 1)]  # forces a separate handshake
    return grpc.aio.secure_channel(f"{HOST}:{edge.address.rpartition(':')[2]}", credentials, options=options)


def of_every_kind(callers: Callers) -> Mapping[str, tuple[Metadata, frozenset[Scope] | None]]:
    """Return credentials of every kind with the scopes that they give; None means that they are rejected."""
    revoked = callers.token("gone", *Scope)
    callers.revoke_all("gone")
    admin, signed = frozenset(Scope), callers.provider.token
    header = callers.provider.token("admin").split(".")
    return {
        "nothing": ((), None),
        "a wrong token": (token_metadata("rdt_nobody-has-this-one"), None),
        "an empty token": ((("authorization", "Bearer "),), None),
        "another scheme": ((("authorization", "Basic YWRtaW46YWRtaW4="),), None),
        "two tokens": (
            (*token_metadata(callers.token("one", Scope.ADMIN)), *token_metadata(callers.token("two", Scope.ADMIN))),
            None,
        ),
        "a revoked token": (token_metadata(revoked), None),
        "an expired token": (token_metadata(callers.token("late", Scope.ADMIN, seconds=-1)), None),
        "an expired JWT": (token_metadata(signed("admin", exp=int(time.time()) - 600)), None),
        "a JWT for others": (token_metadata(signed("admin", aud="another service")), None),
        "a JWT of others": (token_metadata(Provider().token("admin")), None),
        "a JWT without a signature": (token_metadata(_unsigned(header)), None),
        "a token without scopes": (token_metadata(callers.token("no-scopes")), frozenset()),
        "an admin": (token_metadata(callers.token("root", Scope.ADMIN)), admin),
        "an admin by JWT": (token_metadata(signed("admin", sub="root")), admin),
        "a reader and sender by JWT": (token_metadata(signed("send read")), frozenset({Scope.SEND, Scope.READ})),
        **{
            f"the scope {scope} alone": (token_metadata(callers.token("crm", scope)), frozenset({scope}))
            for scope in Scope
            if scope is not Scope.ADMIN
        },
    }


def _unsigned(parts: list[str]) -> str:
    return f"eyJhbGciOiJub25lIiwia2lkIjoiay0xIn0.{parts[1]}."
