"""The Graph API's side: single calls and batches over HTTP."""

import asyncio
import re
import socket
import struct
from collections.abc import Mapping, Sequence
from functools import lru_cache
from urllib.parse import parse_qsl

import msgspec
from aiohttp import web

from server.sandbox.answer import CALM, Answer, Manner, refused
from server.sandbox.graph_error import GraphError, graph_error
from server.sandbox.reception import Reception
from server.sandbox.send_request import SendRequest, read_form, read_json
from server.sandbox.token_book import Credentials, credentials_of

# The batch form: up to 50 calls in one request, answered in their order.


MAX_PARTS = 50


class BatchPart(msgspec.Struct, frozen=True, gc=False):
    """One call; its body is form-encoded."""

    relative_url: str
    method: str = "GET"
    body: str = ""
    access_token: str = ""


class BatchRequest(msgspec.Struct, frozen=True):
    """The body of a batch; in JSON too, `batch` and `include_headers` may be text."""

    batch: list[BatchPart] | str = ""
    include_headers: bool | str = True
    access_token: str = ""
    appsecret_proof: str = ""


class _PartAnswer(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    code: int
    body: str
    headers: list[dict[str, str]] | None = None


_request_decoder = msgspec.json.Decoder(BatchRequest)
_parts_decoder = msgspec.json.Decoder(list[BatchPart])
_encoder = msgspec.json.Encoder()
_OF_THE_CONNECTION = frozenset({Manner.SILENCE, Manner.RESET})  # these cannot happen to a part alone
_FLAT_TOKEN_ERROR = b'{"error_code":190,"error_description":"Invalid OAuth access token."}'


def read_batch_json(body: bytes) -> BatchRequest | GraphError:
    """A batch from a JSON body."""
    try:
        return _request_decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _batch_error("The batch is not a JSON array of calls with a relative_url")


def read_batch_form(fields: Mapping[str, str]) -> BatchRequest:
    """A batch from form fields."""
    return BatchRequest(
        fields.get("batch", ""),
        fields.get("include_headers", "true"),
        fields.get("access_token", ""),
        fields.get("appsecret_proof", ""),
    )


def answer_batch(reception: Reception, request: BatchRequest, credentials: Credentials) -> Answer:
    """Takes every part, then answers for all of them; the credentials are for parts that bring none."""
    parts = _parts(request.batch)
    if isinstance(parts, GraphError):
        return refused(parts)
    answers = [_answer_part(reception, part, credentials) for part in parts]
    delay = max(answer.delay_seconds for answer in answers)
    for answer in answers:
        if answer.whole_batch or answer.manner in _OF_THE_CONNECTION:
            return msgspec.structs.replace(answer, delay_seconds=delay)
    if _is_token_refused(reception, credentials, answers):
        return Answer("error:190", 400, _FLAT_TOKEN_ERROR, delay_seconds=delay)
    with_headers = request.include_headers not in {False, "false", "0"}
    body = _encoder.encode([_part_answer(answer, with_headers=with_headers) for answer in answers])
    limits = next((answer.limits for answer in answers if answer.limits and answer.limits is not CALM), CALM)
    return Answer("batch", 200, body, limits=limits, delay_seconds=delay)


def _answer_part(reception: Reception, part: BatchPart, of_batch: Credentials) -> Answer:
    path, _, query = part.relative_url.partition("?")
    request = read_form(dict(parse_qsl(part.body)))
    own = credentials_of(request, dict(parse_qsl(query)) if query else {})
    by_part = Credentials(own.access_token or part.access_token, own.appsecret_proof)
    return answer_call(reception, part.method, path, by_part.or_else(of_batch), request, in_batch=True)


def _part_answer(answer: Answer, *, with_headers: bool) -> _PartAnswer | None:
    if answer.manner is Manner.NULL_PART:
        return None
    if not with_headers:
        return _PartAnswer(answer.status, answer.body.decode())
    headers = [{"name": "Content-Type", "value": answer.content_type}]
    headers += [{"name": name, "value": value} for name, value in answer.limits.items()]
    return _PartAnswer(answer.status, answer.body.decode(), headers)


def _is_token_refused(reception: Reception, of_batch: Credentials, answers: Sequence[Answer]) -> bool:
    if not of_batch.access_token or not all(answer.outcome.startswith("error:190") for answer in answers):
        return False
    return reception.is_token_refused(of_batch)


def _parts(batch: list[BatchPart] | str) -> Sequence[BatchPart] | GraphError:
    try:
        parts = _parts_decoder.decode(batch) if isinstance(batch, str) else batch
    except msgspec.DecodeError:
        return _batch_error("The batch is not a JSON array of calls with a relative_url")
    if not parts:
        return _batch_error("Empty batch message")
    if len(parts) > MAX_PARTS:
        return _batch_error(f"Too many requests in batch message. Maximum batch size is {MAX_PARTS}")
    return parts


def _batch_error(message: str) -> GraphError:
    return graph_error(0, 0, message, "GraphBatchException")


# One call by its method and path, whether it came alone or in a batch.


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


# Where a call goes: the path of a request, or the relative_url of a batch part.


_VERSION = re.compile(r"v\d+\.\d+")


class GraphPath(msgspec.Struct, frozen=True):
    """A node and its edge, without the version; both empty for the root, where batches go."""

    node: str = ""
    edge: str = ""


@lru_cache(maxsize=4096)
def graph_path(path: str) -> GraphPath | None:
    """The path taken apart; None when it has too many segments."""
    segments = [segment for segment in path.split("/") if segment]
    if segments and _VERSION.fullmatch(segments[0]):
        del segments[0]
    return GraphPath(*segments) if len(segments) <= 2 else None


# Gives an answer over its connection, or does to the connection what was ordered.


CLOSING: web.AppKey[asyncio.Event] = web.AppKey("closing", asyncio.Event)
_LINGER_NOT = struct.pack("ii", 1, 0)  # closing sends RST instead of FIN


async def give(request: web.Request, answer: Answer, delay_seconds: float) -> web.Response:
    """Waits as long as was ordered, then answers, resets or stays silent."""
    delay = delay_seconds + answer.delay_seconds
    if delay:
        await asyncio.sleep(delay)
    if answer.manner is Manner.SILENCE:
        await request.app[CLOSING].wait()  # a caller who hangs up cancels this
    if answer.manner in {Manner.SILENCE, Manner.RESET}:
        _reset(request)
        return web.Response()  # goes nowhere
    return web.Response(
        body=answer.body, status=answer.status, headers={"Content-Type": answer.content_type, **answer.limits}
    )


def _reset(request: web.Request) -> None:
    transport = request.transport
    if transport is None:
        return
    connected: socket.socket | None = transport.get_extra_info("socket")
    if connected is not None:
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
    transport.abort()


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
