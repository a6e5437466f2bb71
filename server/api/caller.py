"""Who calls, for handlers: the gate has found it out before they run."""

from contextvars import ContextVar
from typing import Any

import grpc.aio

from server.access.caller import LOCAL, Caller

Context = grpc.aio.ServicerContext[Any, Any]

CALLER: ContextVar[Caller] = ContextVar("caller", default=LOCAL)  # every call is answered in a context of its own


def caller(context: Context) -> str:  # noqa: ARG001 - of the call that runs; here and below
    """The owner of what the call makes, and who is written down as having asked for a change."""
    return CALLER.get().owner


def sees(context: Context) -> str:  # noqa: ARG001
    """Whose messages the call may see and change: an owner's, or ANYBODY's (an admin)."""
    return CALLER.get().sees


def serves(context: Context) -> str:  # noqa: ARG001
    """Whose messages it is about where no message is named: receipts come for a page, whoever sent."""
    return CALLER.get().serves
