"""All rpcs of the contract, from its descriptors, so that new rpcs are included."""

from collections.abc import Sequence
from typing import Any

import grpc.aio
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from server.api.server import SERVICES

Metadata = Sequence[tuple[str, str]]


def services() -> list[ServiceDescriptor]:
    """Return the descriptors of all services of the contract."""
    pool = descriptor_pool.Default()
    return [pool.FindServiceByName(name) for name in SERVICES]


RPCS: list[MethodDescriptor] = [rpc for service in services() for rpc in service.methods]


def path(rpc: MethodDescriptor) -> str:
    """Return the path of an rpc."""
    return f"/{rpc.containing_service.full_name}/{rpc.name}"


def request_about(rpc: MethodDescriptor, message_id: str) -> Message:
    """Return a request with a message id and no other fields."""
    request: Any = GetMessageClass(rpc.input_type)()
    if "message_id" in rpc.input_type.fields_by_name:
        request.message_id = message_id
    else:
        request.message_ids.append(message_id)
    named: Message = request
    return named


def is_about_messages(rpc: MethodDescriptor) -> bool:
    """Return whether the rpc's request has a message id."""
    return any(_names_a_message(field) for field in rpc.input_type.fields)


def _names_a_message(field: FieldDescriptor) -> bool:
    return field.name in ("message_id", "message_ids")


async def call(wire: grpc.aio.Channel, rpc: MethodDescriptor, request: Message, metadata: Metadata = ()) -> Any:
    """Call an rpc of any kind with one request; return its first answer."""
    answer = GetMessageClass(rpc.output_type)
    multi: Any = (wire.stream_stream if rpc.client_streaming else wire.unary_stream)(
        path(rpc), request_serializer=type(request).SerializeToString, response_deserializer=answer.FromString
    )
    given = iter([request]) if rpc.client_streaming else request
    under_way = multi(given, metadata=metadata, timeout=10)
    try:
        return await anext(aiter(under_way), None)
    finally:
        under_way.cancel()
