"""Who calls."""

from typing import Any

import grpc.aio

Context = grpc.aio.ServicerContext[Any, Any]

LOCAL = "local"


def caller(context: Context) -> str:  # noqa: ARG001 - the context will tell, once callers are authenticated
    """The owner of what the call makes: for now everybody is one and the same."""
    return LOCAL
