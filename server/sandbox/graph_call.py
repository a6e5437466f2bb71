"""One call by its method and path, whether it came alone or in a batch."""

from server.sandbox.answer import Answer, refused
from server.sandbox.credentials import Credentials
from server.sandbox.graph_error import GraphError, graph_error
from server.sandbox.graph_path import graph_path
from server.sandbox.reception import Reception
from server.sandbox.send_request import SendRequest


def answer_call(
    reception: Reception,
    method: str,
    path: str,
    credentials: Credentials,
    request: SendRequest | GraphError,
    *,
    in_batch: bool = False,
) -> Answer:
    """Sends, checks a token, or says that there is no such call."""
    target = graph_path(path)
    if target is not None and method == "POST" and target.edge == "messages":
        return reception.send(target.node, credentials, request, in_batch=in_batch)
    if target is not None and method == "GET" and target.node and not target.edge:
        return reception.check_token(target.node, credentials)
    return refused(graph_error(2500, 0, f"Unknown path components: {path}"))
