"""Errors of the Graph API: codes, HTTP statuses, the envelope."""

import secrets
from collections.abc import Mapping
from typing import Any

import msgspec

# The platform's texts by code and subcode; they are for people, and clients must not parse them.
_MESSAGES: Mapping[tuple[int, int], str] = {
    (-1, 0): "Send message failure. Internal error.",
    (1, 0): "An unknown error has occurred.",
    (1, 1357046): "Received Invalid JSON reply.",
    (2, 0): "(#2) Service temporarily unavailable",
    (3, 0): "(#3) Application does not have the capability to make this API call.",
    (4, 0): "(#4) Application request limit reached",
    (10, 0): "(#10) Application does not have permission for this action",
    (10, 2018065): "(#10) This message is sent outside of allowed window.",
    (10, 2018108): "(#10) This person isn't receiving messages from you right now.",
    (10, 2018278): "(#10) This message is sent outside of allowed window.",
    (17, 0): "(#17) User request limit reached",
    (32, 0): "(#32) Page request limit reached",
    (100, 0): "(#100) Invalid parameter",
    (5, 0): "Unauthorized source IP address",
    (100, 2018001): "(#100) No matching user found",
    (100, 2018008): "(#100) Failed to fetch the file from the url",
    (101, 0): "Error validating application. Cannot get application info due to a system error.",
    (102, 0): "Session key invalid or no longer valid",
    (190, 0): "Invalid OAuth access token.",
    (190, 458): "Error validating access token: The user has not authorized application.",
    (
        190,
        460,
    ): "Error validating access token: The session has been invalidated because the user changed their password.",
    (190, 463): "Error validating access token: Session has expired.",
    (200, 0): "(#200) Requires pages_messaging permission to manage the object",
    (200, 1545041): "Message Not Sent: This person isn't receiving messages from you right now.",
    (230, 0): "Requires pages_messaging permission to manage the object",
    (368, 0): "(#368) Temporarily blocked for policies violations",
    (551, 0): "(#551) This person isn't available right now.",
    (613, 0): "(#613) Calls to this API have exceeded the rate limit.",
    (1200, 0): "(#1200) Temporary send message failure. Please try again later.",
    (2635, 0): "(#2635) You are calling a deprecated version of the API. Please update to the latest version",
    (2500, 0): "An active access token must be used to query information about the current user.",
    (80006, 0): "(#80006) There have been too many calls to this Messenger account. Wait a bit and try again.",
}
_HTTP_STATUSES: Mapping[int, int] = {-1: 500, 1: 500, 2: 500, 4: 403, 10: 403, 230: 403}  # 400 for all others
_TRANSIENT = frozenset({2, 4})
DEFAULT_TYPE = "OAuthException"


class GraphError(msgspec.Struct, frozen=True, kw_only=True):
    """One error; the envelope leaves out code 0 and subcode 0."""

    code: int
    subcode: int = 0
    message: str
    type: str = DEFAULT_TYPE
    http_status: int = 400
    is_transient: bool | None = None
    user_title: str = ""
    user_msg: str = ""

    @property
    def outcome(self) -> str:
        """Return its name in the record, such as "error:100-2018001"."""
        return f"error:{self.code}-{self.subcode}" if self.subcode else f"error:{self.code}"

    def about(self, *, page: str, recipient: str) -> "GraphError":
        """Return the error with {page} and {recipient} in its text replaced by the ids of the request."""
        message = self.message.replace("{page}", page).replace("{recipient}", recipient)
        return msgspec.structs.replace(self, message=message)

    def envelope(self) -> bytes:
        """Return the response body, with a new fbtrace_id."""
        fields: dict[str, Any] = {"message": self.message, "type": self.type}
        if self.code:
            fields["code"] = self.code
        if self.subcode:
            fields["error_subcode"] = self.subcode
        if self.is_transient is not None:
            fields["is_transient"] = self.is_transient
        fields |= {"error_user_title": self.user_title} if self.user_title else {}
        fields |= {"error_user_msg": self.user_msg} if self.user_msg else {}
        fields["fbtrace_id"] = "A" + secrets.token_urlsafe(16)
        return msgspec.json.encode({"error": fields})


def graph_error(code: int, subcode: int = 0, message: str = "", type: str = DEFAULT_TYPE) -> GraphError:  # noqa: A002
    """Return an error with the platform's status and, unless a text is given, the platform's text."""
    known = _MESSAGES.get((code, subcode)) or _MESSAGES.get((code, 0)) or f"(#{code}) Error ordered from the sandbox"
    return GraphError(
        code=code,
        subcode=subcode,
        message=message or known,
        type=type,
        http_status=_HTTP_STATUSES.get(code, 400),
        is_transient=True if code in _TRANSIENT and not subcode else None,
    )
