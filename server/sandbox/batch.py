"""The batch form: up to 50 calls in one request, answered in their order."""

from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl

import msgspec

from server.sandbox.answer import CALM, Answer, Manner, refused
from server.sandbox.credentials import Credentials, credentials_of
from server.sandbox.graph_call import answer_call
from server.sandbox.graph_error import GraphError, graph_error
from server.sandbox.reception import Reception
from server.sandbox.send_request import read_form

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
