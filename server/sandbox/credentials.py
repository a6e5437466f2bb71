"""What a call proves itself with."""

from collections.abc import Mapping

import msgspec

from server.sandbox.graph_error import GraphError
from server.sandbox.send_request import SendRequest


class Credentials(msgspec.Struct, frozen=True, gc=False):
    """A token and its proof; never shown, not even by repr."""

    access_token: str = ""
    appsecret_proof: str = ""

    def __repr__(self) -> str:
        return "Credentials()"

    def or_else(self, others: "Credentials") -> "Credentials":
        """These where given, else the others."""
        return Credentials(
            self.access_token or others.access_token,
            self.appsecret_proof or others.appsecret_proof,
        )


def credentials_of(request: SendRequest | GraphError, query: Mapping[str, str]) -> Credentials:
    """The credentials in a request's body, else in its query."""
    in_query = Credentials(query.get("access_token", ""), query.get("appsecret_proof", ""))
    if isinstance(request, GraphError):
        return in_query
    return Credentials(request.access_token, request.appsecret_proof).or_else(in_query)
