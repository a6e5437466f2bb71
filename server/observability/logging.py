"""Structured logs on standard error: one JSON object per line, or readable lines on a terminal.

A log line holds only chosen values. It names the type and place of an exception but not its text, and leaves out the
parameters of log calls in libraries: either may hold a token or a message.
"""

import asyncio
import logging
import sys
import traceback
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger


def configure(level: str, style: str = "auto") -> None:
    """Set the level and the style of all loggers; `auto` is `text` on a terminal, else `json`."""
    as_text = style == "text" or (style == "auto" and sys.stderr.isatty())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            without_texts,
            *(_readable() if as_text else (structlog.processors.JSONRenderer(default=str),)),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    logging.basicConfig(handlers=[_Libraries()], level=logging.WARNING, force=True)


def log_lost_exceptions(loop: asyncio.AbstractEventLoop) -> None:
    """Log exceptions of tasks that are never awaited; the event loop's own handler would show their texts."""
    loop.set_exception_handler(_lost)


def _readable() -> tuple[Processor, ...]:
    return _as_lines, structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())


def _as_lines(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    if "exception" in event:
        lines = [line for one in event["exception"] for line in (one["type"], *one["frames"])]
        event["exception"] = "\n".join(lines)
    return event


def without_texts(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Replace an exception by its type and place, with those of its causes."""
    given = event.pop("exc_info", None)
    error = sys.exc_info()[1] if given is True else given[1] if isinstance(given, tuple) else given
    if isinstance(error, BaseException):
        event["exception"] = [_described(one) for one in _chain(error)]
    return event


def _chain(error: BaseException) -> list[BaseException]:
    chain: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and following not in chain:
        chain.append(following)
        following = following.__cause__ or (None if following.__suppress_context__ else following.__context__)
    return chain


def _described(error: BaseException) -> dict[str, Any]:
    frames = traceback.extract_tb(error.__traceback__)
    kind = type(error)
    return {
        "type": f"{kind.__module__}.{kind.__qualname__}",
        "frames": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
    }


def _lost(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    structlog.get_logger().error("exception_lost", words=context.get("message"), exc_info=context.get("exception"))


class _Libraries(logging.Handler):
    """Logs the messages of libraries without their parameters."""

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger()
        level = (
            record.levelno if record.levelno in (logging.WARNING, logging.ERROR, logging.CRITICAL) else logging.ERROR
        )
        log.log(level, "library_told", logger=record.name, words=str(record.msg), exc_info=record.exc_info)
