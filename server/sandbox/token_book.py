"""The states of access tokens."""

import hashlib
import hmac
from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Literal

import msgspec

from server.sandbox.graph_error import GraphError, graph_error
from server.sandbox.send_request import SendRequest

ME = "me"


class TokenOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A change of a token's state; the first `allow` makes all tokens invalid that are not allowed."""

    token: Annotated[str, msgspec.Meta(min_length=1)]
    action: Literal["expire", "renew", "revoke", "allow"]
    app_secret: str = ""  # with it, calls with this token must carry the right appsecret_proof

    def __repr__(self) -> str:
        return f"TokenOrder(action={self.action!r})"  # never the token


class _State(StrEnum):
    ALLOWED = "allowed"
    EXPIRED = "expired"
    REVOKED = "revoked"


_STATES = {"expire": _State.EXPIRED, "renew": _State.ALLOWED, "revoke": _State.REVOKED, "allow": _State.ALLOWED}


@lru_cache(maxsize=4096)
def fingerprint(token: str) -> str:
    """Return a token's name in the record: 12 hex digits that do not reveal it."""
    return hashlib.sha256(token.encode()).hexdigest()[:12] if token else ""


class TokenBook:
    """Every token is valid until an order changes it."""

    def __init__(self) -> None:
        self._states: dict[str, _State] = {}
        self._proofs: dict[str, str] = {}
        self._pages: dict[str, str] = {}
        self._only_allowed = False

    def take(self, order: TokenOrder) -> None:
        """Carry out an order."""
        name = fingerprint(order.token)
        self._states[name] = _STATES[order.action]
        self._only_allowed = self._only_allowed or order.action == "allow"
        if order.app_secret:
            self._proofs[name] = hmac.new(order.app_secret.encode(), order.token.encode(), hashlib.sha256).hexdigest()

    def page(self, token: str, node: str) -> str:
        """Return the page of a node; `me` is the page for which the token (its fingerprint) was last used."""
        if node == ME:
            return self._pages.get(token, node)
        self._pages[token] = node
        return node

    def refusal(self, token: str, proof: str) -> GraphError | None:
        """Return why a call with this token (its fingerprint) is refused, or None."""
        if not token:
            return graph_error(190)
        state = self._states.get(token)
        if state is _State.EXPIRED:
            return graph_error(190, 463)
        if state is _State.REVOKED:
            return graph_error(190, 458)
        if state is None and self._only_allowed:
            return graph_error(190)
        wanted = self._proofs.get(token)
        if wanted and not hmac.compare_digest(wanted.encode(), proof.encode()):
            return graph_error(100, 0, "Invalid appsecret_proof provided in the API argument", "GraphMethodException")
        return None


class GraphCredentials(msgspec.Struct, frozen=True, gc=False):
    """A token and its appsecret_proof; the repr shows neither."""

    access_token: str = ""
    appsecret_proof: str = ""

    def __repr__(self) -> str:
        return "GraphCredentials()"

    def or_else(self, others: "GraphCredentials") -> "GraphCredentials":
        """Return these credentials, completed by the others."""
        return GraphCredentials(
            self.access_token or others.access_token,
            self.appsecret_proof or others.appsecret_proof,
        )


def credentials_in(request: SendRequest | GraphError, query: Mapping[str, str]) -> GraphCredentials:
    """Return the credentials in a request's body, completed by its query."""
    in_query = GraphCredentials(query.get("access_token", ""), query.get("appsecret_proof", ""))
    if isinstance(request, GraphError):
        return in_query
    return GraphCredentials(request.access_token, request.appsecret_proof).or_else(in_query)
