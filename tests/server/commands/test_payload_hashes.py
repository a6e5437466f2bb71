"""New fields of later releases do not change the hash by which repeated requests are recognised."""

import pytest

from domain.content import Attachment, Content
from domain.fault import ErrorType
from server.commands.idempotency import PayloadHash, WriteCommand
from tests.builders import cancel_message, cron, put_page, resend_message, send_message

TEMPLATE = Attachment(type="template", template={"b": [1.0, {"z": 1}], "delay": None})


@pytest.mark.parametrize(
    ("command", "hashed"),
    [
        (send_message(), "3cafa513f28c47bba7d3233da08d1633ef81e727b01632d479ad60b219cc78d5"),
        (
            send_message(title="Ü", content=Content(attachment=TEMPLATE), retry_policy=cron(5)),
            "67c4159a349d2550e2d502c2fd94e54c51b742d0f094790fc45bff5a52144392",
        ),
        (
            resend_message("m-1", error_types=(ErrorType.NETWORK,)),
            "2e2f7f1f47264df10c633f6d9db2ab4ebd2e41a42fb450a01f94bab85ef2c3a2",
        ),
        (cancel_message("m-1"), "3997804d0867467fb14b4f273ee33a0d5a539e812a7e86c3d1201e0fc04a058c"),
        (
            put_page("1234567890", name="Shop", access_token="EAAB-new"),
            "2833ccb6d4c21e6df17fb1884b040d9126322f7473b0a5d423dd5a9ffcd31bf7",
        ),
    ],
)
def test_a_request_without_later_fields_has_the_hash_of_earlier_releases(command: WriteCommand, hashed: str) -> None:
    """A caller may repeat a request across an upgrade of the server."""
    assert PayloadHash(command, b"k").hexdigest() == hashed
