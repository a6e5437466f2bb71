"""Presets: names for common faults."""

from collections.abc import Mapping

import msgspec

from server.sandbox.effect import (
    Delay,
    Effect,
    Empty,
    ErrorAnswer,
    Garbage,
    NullPart,
    RateLimit,
    Reset,
    Status,
    Timeout,
    TokenExpired,
    Usage,
    UserToken,
)

_NO_SUCH_PAGE = (
    "Unsupported post request. Object with ID '{page}' does not exist, cannot be loaded due to missing permissions,"
    " or does not support this operation"
)
_NOT_RECEIVING = "This person isn't receiving messages from you right now."


class Preset(msgspec.Struct, frozen=True):
    """An effect, its meaning, and whether the message arrives anyway."""

    effect: Effect
    meaning: str
    accepts: bool = False


PRESETS: Mapping[str, Preset] = {
    "expired_token": Preset(TokenExpired(), "190-463 until the token is replaced or renewed"),
    "revoked_token": Preset(ErrorAnswer(code=190, subcode=460), "190-460 to every token"),
    "user_token": Preset(UserToken(), "190, a user's token, until it is replaced"),
    "rate_limit": Preset(RateLimit(seconds=30), "613 with Retry-After for 30 seconds per page"),
    "app_limit": Preset(ErrorAnswer(code=4), "4, the app's request limit"),
    "busy": Preset(Usage(percent=95), "sends pass, usage headers show 95 percent"),
    "unknown_recipient": Preset(ErrorAnswer(code=100, subcode=2018001), "100-2018001, no such person"),
    "unavailable_recipient": Preset(ErrorAnswer(code=551, subcode=1545041), "551-1545041, the person blocks the page"),
    "unavailable_without_subcode": Preset(
        ErrorAnswer(code=200, message=_NOT_RECEIVING), "200, where only the text names the person"
    ),
    "outside_window": Preset(ErrorAnswer(code=10, subcode=2018278), "10-2018278, outside the 24-hour window"),
    "outside_window_without_subcode": Preset(
        ErrorAnswer(code=10, message="(#10) This message is sent outside of allowed window."),
        "10, where only the text names the window",
    ),
    "permission": Preset(ErrorAnswer(code=230), "230, permission missing or revoked"),
    "policy_block": Preset(ErrorAnswer(code=368), "368, the page is blocked temporarily"),
    "page_missing": Preset(
        ErrorAnswer(code=100, subcode=33, message=_NO_SUCH_PAGE, type="GraphMethodException"),
        "100-33, where the text names the page",
    ),
    "unauthorized_address": Preset(ErrorAnswer(code=5), "5, the server's address is not allowed"),
    "unknown_app": Preset(ErrorAnswer(code=101), "101, the app is unknown"),
    "deprecated_version": Preset(ErrorAnswer(code=2635), "2635, the API's version is too old"),
    "unlisted_error": Preset(ErrorAnswer(code=98765), "98765, an unknown code"),
    "bad_content": Preset(ErrorAnswer(code=100), "100, the content is refused"),
    "file_not_fetched": Preset(ErrorAnswer(code=100, subcode=2018008), "100-2018008, the image cannot be fetched"),
    "temporary": Preset(ErrorAnswer(code=2), "2, service temporarily unavailable"),
    "unknown_error": Preset(ErrorAnswer(code=1), "1, unknown error"),
    "sent_anyway": Preset(ErrorAnswer(code=1, subcode=1357046), "1-1357046, and the message arrives", accepts=True),
    "network": Preset(Reset(), "the connection breaks"),
    "timeout": Preset(Timeout(), "no answer"),
    "slow": Preset(Delay(seconds=5), "the answer takes 5 seconds"),
    "server_error": Preset(Status(), "HTTP 503 with a page of HTML"),
    "garbage": Preset(Garbage(), "200 with an unreadable body"),
    "empty": Preset(Empty(), "200 with no body"),
    "null_part": Preset(NullPart(), "null in place of a batch part"),
}
