"""Unusual forms of the platform's replies."""

from typing import Any

import pytest

from domain.classification import PlatformError
from domain.outcome import Failed, Sent, Unconfirmed
from server.messenger.http import HttpResponse
from server.messenger.reply import Reply, read_outcome, read_reply


def error_in(body: Any, status: int = 400) -> PlatformError | None:
    return Reply(status=status, body=body).error()


def test_all_fields_of_an_envelope_are_read() -> None:
    envelope = {
        "message": "(#10) no",
        "type": "OAuthException",
        "code": 10,
        "error_subcode": 2018278,
        "is_transient": False,
        "error_data": "more",
        "fbtrace_id": "A",
    }
    assert error_in({"error": envelope}, status=403) == PlatformError(
        code=10,
        subcode=2018278,
        type_name="OAuthException",
        message="(#10) no",
        is_transient=False,
        error_data="more",
        http_status=403,
    )


@pytest.mark.parametrize(
    ("code", "read"),
    [
        (190, 190),
        ("190", 190),
        ("-1", -1),
        (2**31, None),
        (-(2**31) - 1, None),
        ("9999999999", None),
        (True, None),
        (None, None),
        (1.5, None),
        ("190 ", None),
        ("", None),
        ([190], None),
    ],
)
def test_a_code_is_an_integer_in_range_or_none(code: object, read: int | None) -> None:
    error = error_in({"error": {"code": code, "error_subcode": code, "message": "?"}})
    assert error is not None
    assert (error.code, error.subcode) == (read, read or 0)


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        "error",
        {},
        {"error": None},
        {"error": {}},
        {"error": ""},
        {"error": 7},
        {"error": {"fbtrace_id": "A"}},
        {"error": {"message": ["?"], "type": 7}},
        {"error_description": "?"},
    ],
)
def test_a_body_without_error_fields_is_no_error(body: object) -> None:
    assert error_in(body) is None


@pytest.mark.parametrize("text_key", ["error_description", "error_msg"])
def test_a_flat_error_is_read(text_key: str) -> None:
    error = error_in({"error_code": 190, text_key: "Invalid OAuth access token."})
    assert error == PlatformError(code=190, message="Invalid OAuth access token.", http_status=400)


@pytest.mark.parametrize("content", [b"[" * 100_000, b"\xff\xfe", b'"\xff"', b"{} {}", b'{"message_id":"m_1"'])
def test_a_body_that_is_not_json_is_unreadable(content: bytes) -> None:
    assert isinstance(read_reply(HttpResponse(status=200, headers={}, content=content)).outcome(), Unconfirmed)


def test_an_error_overrides_a_message_id() -> None:
    body = {"message_id": "m_1", "error": {"code": 2}}
    assert not isinstance(Reply(status=200, body=body).outcome(), Sent)


@pytest.mark.parametrize("status", [200, 201])
def test_a_message_id_under_a_success_status_is_sent(status: int) -> None:
    assert Reply(status=status, body={"message_id": "m_1"}).outcome() == Sent("m_1")


def test_nul_characters_are_removed_because_postgresql_rejects_them() -> None:
    refused = read_outcome(400, b'{"error":{"code":100,"message":"un\\u0000known"}}')

    assert isinstance(refused, Failed)
    assert refused.fault.message == "unknown"
    assert read_outcome(200, b'{"message_id":"m_\\u00001"}') == Sent("m_1")
