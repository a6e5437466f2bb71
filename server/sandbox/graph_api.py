"""The Graph API: single calls and batches over HTTP."""

import asyncio
import re
import socket
import struct
from collections.abc import Mapping, Sequence
from functools import lru_cache
from urllib.parse import parse_qsl

import msgspec
from aiohttp import web

from server.sandbox.answer import USUAL_USAGE, Answer, ReplyKind, refused
from server.sandbox.graph_error import GraphError, graph_error
from server.sandbox.send_request import SendRequest, read_form, read_json
from server.sandbox.state import SandboxState
from server.sandbox.token_book import GraphCredentials, credentials_in

MAX_PARTS = 50


class BatchPart(msgspec.Struct, frozen=True, gc=False):
    """One call, with a form-encoded body."""

    relative_url: str
    method: str = "GET"
    body: str = ""
    access_token: str = ""


class BatchRequest(msgspec.Struct, frozen=True):
    """The body of a batch; `batch` and `include_headers` may be text in JSON too."""

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
_CONNECTION_REPLIES = frozenset({ReplyKind.SILENCE, ReplyKind.RESET})  # these affect the whole batch
_FLAT_TOKEN_ERROR = b'{"error_code":190,"error_description":"Invalid OAuth access token."}'


def read_batch_json(body: bytes) -> BatchRequest | GraphError:
    """Read a batch from a JSON body."""
    try:
        return _request_decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _batch_error("The batch is not a JSON array of calls with a relative_url")


def read_batch_form(fields: Mapping[str, str]) -> BatchRequest:
    """Read a batch from form fields."""
    return BatchRequest(
        fields.get("batch", ""),
        fields.get("include_headers", "true"),
        fields.get("access_token", ""),
        fields.get("appsecret_proof", ""),
    )


def answer_batch(state: SandboxState, request: BatchRequest, credentials: GraphCredentials) -> Answer:
    """Handle every part and answer for all; the credentials apply to parts without their own."""
    parts = _parts(request.batch)
    if isinstance(parts, GraphError):
        return refused(parts)
    answers = [_answer_part(state, part, credentials) for part in parts]
    delay = max(answer.delay_seconds for answer in answers)
    for answer in answers:
        if answer.whole_batch or answer.kind in _CONNECTION_REPLIES:
            return msgspec.structs.replace(answer, delay_seconds=delay)
    if _is_token_refused(state, credentials, answers):
        return Answer("error:190", 400, _FLAT_TOKEN_ERROR, delay_seconds=delay)
    with_headers = request.include_headers not in {False, "false", "0"}
    body = _encoder.encode([_part_answer(answer, with_headers=with_headers) for answer in answers])
    limits = next(
        (answer.limits for answer in answers if answer.limits and answer.limits is not USUAL_USAGE), USUAL_USAGE
    )
    return Answer("batch", 200, body, limits=limits, delay_seconds=delay)


def _answer_part(state: SandboxState, part: BatchPart, of_batch: GraphCredentials) -> Answer:
    path, _, query = part.relative_url.partition("?")
    request = read_form(dict(parse_qsl(part.body)))
    own = credentials_in(request, dict(parse_qsl(query)) if query else {})
    by_part = GraphCredentials(own.access_token or part.access_token, own.appsecret_proof)
    return answer_call(state, part.method, path, by_part.or_else(of_batch), request, in_batch=True)


def _part_answer(answer: Answer, *, with_headers: bool) -> _PartAnswer | None:
    if answer.kind is ReplyKind.NULL_PART:
        return None
    if not with_headers:
        return _PartAnswer(answer.status, answer.body.decode())
    headers = [{"name": "Content-Type", "value": answer.content_type}]
    headers += [{"name": name, "value": value} for name, value in answer.limits.items()]
    return _PartAnswer(answer.status, answer.body.decode(), headers)


def _is_token_refused(state: SandboxState, of_batch: GraphCredentials, answers: Sequence[Answer]) -> bool:
    if not of_batch.access_token or not all(answer.outcome.startswith("error:190") for answer in answers):
        return False
    return state.is_token_refused(of_batch)


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


def answer_call(
    state: SandboxState,
    method: str,
    path: str,
    credentials: GraphCredentials,
    request: SendRequest | GraphError,
    *,
    in_batch: bool = False,
) -> Answer:
    """Handle one call, alone or in a batch: a send, a token check, or an unknown path."""
    target = graph_path(path)
    if target is not None and method == "POST" and target.edge == "messages":
        return state.send(target.node, credentials, request, in_batch=in_batch)
    if target is not None and method == "GET" and target.node and not target.edge:
        return state.check_token(target.node, credentials)
    return refused(graph_error(2500, 0, f"Unknown path components: {path}"))


_VERSION = re.compile(r"v\d+\.\d+")


class GraphPath(msgspec.Struct, frozen=True):
    """A node and its edge, without the version; both empty for the root path of batches."""

    node: str = ""
    edge: str = ""


@lru_cache(maxsize=4096)
def graph_path(path: str) -> GraphPath | None:
    """Return the parsed path; None if it has too many segments."""
    segments = [segment for segment in path.split("/") if segment]
    if segments and _VERSION.fullmatch(segments[0]):
        del segments[0]
    return GraphPath(*segments) if len(segments) <= 2 else None


CLOSING: web.AppKey[asyncio.Event] = web.AppKey("closing", asyncio.Event)
_NO_LINGER = struct.pack("ii", 1, 0)  # a close sends RST instead of FIN


async def reply(request: web.Request, answer: Answer, delay_seconds: float) -> web.Response:
    """Wait for the ordered delay, then reply, reset the connection or stay silent."""
    delay = delay_seconds + answer.delay_seconds
    if delay:
        await asyncio.sleep(delay)
    if answer.kind is ReplyKind.SILENCE:
        await request.app[CLOSING].wait()  # cancelled when the caller disconnects
    if answer.kind in {ReplyKind.SILENCE, ReplyKind.RESET}:
        _reset(request)
        return web.Response()  # not sent
    return web.Response(
        body=answer.body, status=answer.status, headers={"Content-Type": answer.content_type, **answer.limits}
    )


def _reset(request: web.Request) -> None:
    transport = request.transport
    if transport is None:
        return
    connected: socket.socket | None = transport.get_extra_info("socket")
    if connected is not None:
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    transport.abort()


_ROOT = GraphPath()


class GraphApi:
    """Handles every path outside the control API."""

    def __init__(self, state: SandboxState, delay_seconds: float) -> None:
        self._state = state
        self._delay_seconds = delay_seconds

    async def handle(self, request: web.Request) -> web.Response:
        """Answer one request."""
        is_batch = request.method == "POST" and graph_path(request.path) == _ROOT
        answer = await (self._batch(request) if is_batch else self._call(request))
        return await reply(request, answer, self._delay_seconds)

    async def _call(self, request: web.Request) -> Answer:
        send = read_json(await request.read()) if _is_json(request) else read_form(await _form(request))
        given = credentials_in(send, request.query).or_else(_bearer(request))
        return answer_call(self._state, request.method, request.path, given, send)

    async def _batch(self, request: web.Request) -> Answer:
        batch = read_batch_json(await request.read()) if _is_json(request) else read_batch_form(await _form(request))
        if isinstance(batch, GraphError):
            return refused(batch)
        in_query = credentials_in(read_form({}), request.query)
        given = GraphCredentials(batch.access_token, batch.appsecret_proof).or_else(in_query).or_else(_bearer(request))
        return answer_batch(self._state, batch, given)


def _is_json(request: web.Request) -> bool:
    return request.content_type == "application/json"


async def _form(request: web.Request) -> Mapping[str, str]:
    fields = await request.post()
    return {name: value for name, value in fields.items() if isinstance(value, str)}


def _bearer(request: web.Request) -> GraphCredentials:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return GraphCredentials(token.strip() if scheme.lower() == "bearer" else "")
