"""The Graph API's side: single calls and batches over HTTP."""

from collections.abc import Mapping

from aiohttp import web

from server.sandbox.answer import Answer, refused
from server.sandbox.batch import answer_batch, read_batch_form, read_batch_json
from server.sandbox.connection import give
from server.sandbox.credentials import Credentials, credentials_of
from server.sandbox.graph_call import answer_call
from server.sandbox.graph_error import GraphError
from server.sandbox.graph_path import GraphPath, graph_path
from server.sandbox.reception import Reception
from server.sandbox.send_request import read_form, read_json

_ROOT = GraphPath()


class GraphApi:
    """Every path that is not the control API's."""

    def __init__(self, reception: Reception, delay_seconds: float) -> None:
        self._reception = reception
        self._delay_seconds = delay_seconds

    async def handle(self, request: web.Request) -> web.Response:
        """Answers one request."""
        is_batch = request.method == "POST" and graph_path(request.path) == _ROOT
        answer = await (self._batch(request) if is_batch else self._call(request))
        return await give(request, answer, self._delay_seconds)

    async def _call(self, request: web.Request) -> Answer:
        send = read_json(await request.read()) if _is_json(request) else read_form(await _form(request))
        given = credentials_of(send, request.query).or_else(_bearer(request))
        return answer_call(self._reception, request.method, request.path, given, send)

    async def _batch(self, request: web.Request) -> Answer:
        batch = read_batch_json(await request.read()) if _is_json(request) else read_batch_form(await _form(request))
        if isinstance(batch, GraphError):
            return refused(batch)
        in_query = credentials_of(read_form({}), request.query)
        given = Credentials(batch.access_token, batch.appsecret_proof).or_else(in_query).or_else(_bearer(request))
        return answer_batch(self._reception, batch, given)


def _is_json(request: web.Request) -> bool:
    return request.content_type == "application/json"


async def _form(request: web.Request) -> Mapping[str, str]:
    fields = await request.post()
    return {name: value for name, value in fields.items() if isinstance(value, str)}


def _bearer(request: web.Request) -> Credentials:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return Credentials(token.strip() if scheme.lower() == "bearer" else "")
