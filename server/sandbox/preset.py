"""Names for the faults that people order most."""

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
)


class Preset(msgspec.Struct, frozen=True):
    """An effect, what it stands for, and whether the message arrives all the same."""

    effect: Effect
    meaning: str
    accepts: bool = False


PRESETS: Mapping[str, Preset] = {
    "expired_token": Preset(TokenExpired(), "190-463 until the token is replaced or renewed"),
    "revoked_token": Preset(ErrorAnswer(code=190, subcode=460), "190-460, whatever the token"),
    "rate_limit": Preset(RateLimit(seconds=30), "613 with Retry-After for 30 seconds per page"),
    "app_limit": Preset(ErrorAnswer(code=4), "4, the app's request limit"),
    "busy": Preset(Usage(percent=95), "sends pass, usage headers show 95 percent"),
    "unknown_recipient": Preset(ErrorAnswer(code=100, subcode=2018001), "100-2018001, no such person"),
    "unavailable_recipient": Preset(ErrorAnswer(code=551, subcode=1545041), "551-1545041, the person blocks the page"),
    "outside_window": Preset(ErrorAnswer(code=10, subcode=2018278), "10-2018278, outside the 24-hour window"),
    "permission": Preset(ErrorAnswer(code=230), "230, permission missing or revoked"),
    "policy_block": Preset(ErrorAnswer(code=368), "368, the page is blocked for a while"),
    "bad_content": Preset(ErrorAnswer(code=100), "100, the content is refused"),
    "temporary": Preset(ErrorAnswer(code=2), "2, service temporarily unavailable"),
    "unknown_error": Preset(ErrorAnswer(code=1), "1, unknown error"),
    "sent_anyway": Preset(ErrorAnswer(code=1, subcode=1357046), "1-1357046, and the message arrives", accepts=True),
    "network": Preset(Reset(), "the connection breaks"),
    "timeout": Preset(Timeout(), "no answer, ever"),
    "slow": Preset(Delay(seconds=5), "the answer takes 5 seconds"),
    "server_error": Preset(Status(), "HTTP 503 with a page of HTML"),
    "garbage": Preset(Garbage(), "200 with an unreadable body"),
    "empty": Preset(Empty(), "200 with no body"),
    "null_part": Preset(NullPart(), "null in place of a batch part"),
}
