"""Effects of faults: one struct per effect, with the tag `kind` in JSON."""

from typing import Annotated, Literal

import msgspec

from server.sandbox.graph_error import DEFAULT_TYPE, GraphError, graph_error

Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]


class _Effect(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, tag_field="kind"
):
    pass


class Delay(_Effect, frozen=True, tag="delay"):
    """Delays the answer; the request passes."""

    seconds: Seconds


class Usage(_Effect, frozen=True, tag="usage"):
    """Answers with usage headers of this percentage; the request passes."""

    percent: Annotated[int, msgspec.Meta(ge=0, le=1_000)]


HeaderName = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9-]+\Z", max_length=100)]
HeaderValue = Annotated[str, msgspec.Meta(pattern=r"^[ -~]*\Z", max_length=4_000)]


class Headers(_Effect, frozen=True, tag="headers"):
    """Adds these headers to the answer, replacing those of the same name; the request passes."""

    headers: Annotated[dict[HeaderName, HeaderValue], msgspec.Meta(min_length=1, max_length=20)]


class ErrorAnswer(_Effect, frozen=True, tag="error"):
    """Answers with an error envelope; fields left out default to the platform's for the code. Code 0 = no code.

    In the message, {page} and {recipient} are replaced by the ids of the request.
    """

    code: int
    subcode: Annotated[int, msgspec.Meta(ge=0)] = 0
    message: str = ""
    type: str = DEFAULT_TYPE
    http_status: Annotated[int, msgspec.Meta(ge=200, le=599)] | None = None
    is_transient: bool | None = None
    user_title: str = ""
    user_msg: str = ""

    def error(self) -> GraphError:
        """Return the error of the answer."""
        error = graph_error(self.code, self.subcode, self.message, self.type)
        error = msgspec.structs.replace(error, user_title=self.user_title, user_msg=self.user_msg)
        if self.http_status is not None:
            error = msgspec.structs.replace(error, http_status=self.http_status)
        if self.is_transient is not None:
            error = msgspec.structs.replace(error, is_transient=self.is_transient)
        return error


class RateLimit(_Effect, frozen=True, tag="rate_limit"):
    """Answers with a rate-limit error and Retry-After, for so long after a page's first hit, once per page."""

    seconds: Seconds
    code: Literal[4, 17, 32, 613, 80006] = 613

    def error(self) -> GraphError:
        """Return the error of the answer."""
        return graph_error(self.code)


class TokenExpired(_Effect, frozen=True, tag="token_expired"):
    """Answers 190-463 to the order's token, or to each page's first token, until that token is renewed."""

    def error(self) -> GraphError:
        """Return the error of the answer."""
        return graph_error(190, 463)


class UserToken(_Effect, frozen=True, tag="user_token"):
    """Treats a token, chosen as by TokenExpired, as a user's: sends are refused, and GET /me returns the user.

    GET /PAGE passes, because a user may read the page.
    """

    def error(self) -> GraphError:
        """Return the error of the answer to a send."""
        return graph_error(190, 0, "This method must be called with a Page Access Token")


class Timeout(_Effect, frozen=True, tag="timeout"):
    """Never answers; in a batch, no part is answered."""


class Reset(_Effect, frozen=True, tag="reset"):
    """Resets the connection (RST); in a batch, no part is answered."""


class Status(_Effect, frozen=True, tag="status"):
    """Answers with an HTTP error and an HTML page, for one batch part, or with whole_batch for the batch."""

    http_status: Annotated[int, msgspec.Meta(ge=500, le=599)] = 503
    whole_batch: bool = False


class Garbage(_Effect, frozen=True, tag="garbage"):
    """Answers 200 with an unreadable body, for one batch part, or with whole_batch for the batch."""

    whole_batch: bool = False


class Empty(_Effect, frozen=True, tag="empty"):
    """Answers 200 without a body, for one batch part, or with whole_batch for the batch."""

    whole_batch: bool = False


class NullPart(_Effect, frozen=True, tag="null_part"):
    """Answers null for a batch part; single sends pass."""


PassingEffect = Delay | Usage | Headers
LimitingEffect = RateLimit | TokenExpired | UserToken  # the platform certainly did not accept the message
EndingEffect = ErrorAnswer | Timeout | Reset | Status | Garbage | Empty | NullPart | LimitingEffect
Effect = PassingEffect | EndingEffect
