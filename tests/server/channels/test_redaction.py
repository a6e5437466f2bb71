"""No token and no message text comes back from the platform into what is kept and shown."""

import httpx
import msgspec
import pytest
import respx
from hypothesis import assume, given
from hypothesis import strategies as st

from domain.content import Attachment, Content, QuickReply
from domain.fault import ErrorType, Fault, RetryRule, Scope
from domain.outcome import Failed, Sent
from server.channels.channel import Credentials, OutgoingMessage, TokenRefused
from server.channels.graph_request import secrets_of
from server.channels.messenger import MessengerChannel
from server.channels.redaction import MAX_MESSAGE_LENGTH, redact


def redacted(message: str, *secrets: str) -> str:
    fault = Fault(message=message, type=ErrorType.OTHER, scope=Scope.RECIPIENT, retry=RetryRule.NEVER)
    outcome = redact(Failed(fault), secrets)
    assert isinstance(outcome, Failed)
    return outcome.fault.message


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("The user has not authorized application. token=[fb]", "The user has not authorized application. token=***]"),
        ("Malformed access token EAABwzLixnjYBAOsomeOtherPage42", "Malformed access token ***"),
        ("/me?access_token=abc123&fields=id", "/me?access_token=***&fields=id"),
        ("appsecret_proof=0a1b2c is wrong", "appsecret_proof=*** is wrong"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer ***"),
        ("Invalid OAuth access token.", "Invalid OAuth access token."),
        ("The EAA is a place", "The EAA is a place"),
    ],
)
def test_what_looks_like_a_token_is_taken_out(said: str, kept: str) -> None:
    assert redacted(said) == kept


def test_a_secret_inside_another_leaves_nothing_of_either() -> None:
    assert redacted("got key-with-tail", "key", "key-with-tail") == "got ***"


def test_a_long_message_is_cut_after_its_secrets_are_out() -> None:
    message = redacted("x" * (MAX_MESSAGE_LENGTH - 4) + "secret-at-the-edge", "secret-at-the-edge")
    assert message == "x" * (MAX_MESSAGE_LENGTH - 4) + "***"
    assert redacted("x" * (MAX_MESSAGE_LENGTH - 4) + "EAABwzLixnjYBAOsomeOtherPage42") == message
    assert len(redacted("y" * 9999)) == MAX_MESSAGE_LENGTH


def test_of_a_long_message_the_beginning_and_the_end_are_kept() -> None:
    message = redacted("(#100) Invalid parameter" + "x" * 9999 + " (Title of button 2 is too long)")
    assert len(message) == MAX_MESSAGE_LENGTH
    assert message.startswith("(#100) Invalid parameter")
    assert message.endswith("x (Title of button 2 is too long)")


def test_a_success_has_nothing_to_hide() -> None:
    assert redact(Sent("m_1"), ["m_1"]) == Sent("m_1")


@given(st.text(), st.text(min_size=1), st.text())
def test_no_secret_whatever_survives(before: str, secret: str, after: str) -> None:
    assume("*" not in secret)  # the stars that replace it could make up such a one again
    assert secret not in redacted(before + secret + after, secret)


async def test_no_secret_of_the_page_and_no_text_comes_back(
    graph: respx.MockRouter, channel: MessengerChannel, credentials: Credentials, message: OutgoingMessage
) -> None:
    secrets = [*secrets_of(credentials), message.content.text]
    said = " and ".join(secrets)
    error = {"error": {"message": said, "code": 190, "type": said, "error_data": said, "error_user_msg": said}}
    reply = httpx.Response(400, json=error)
    graph.route().mock(return_value=reply)
    flat = httpx.Response(400, json={"error_code": 190, "error_description": said})

    check = await channel.check_token(credentials)
    attempts = [await channel.send(credentials, message), *await channel.send_batch(credentials, [message])]
    graph.route().mock(return_value=flat)
    attempts += await channel.send_batch(credentials, [message])

    assert isinstance(check, TokenRefused)
    assert check.fault.message == f"*** and *** and *** and {message.content.text}"  # a check knows of no text
    for attempt in attempts:
        assert isinstance(attempt.outcome, Failed)
        assert attempt.outcome.fault.message == "*** and *** and *** and ***"
        assert not any(secret in repr(attempt) for secret in secrets)


async def test_no_string_of_a_content_comes_back_but_for_the_platforms_own_words(
    graph: respx.MockRouter, channel: MessengerChannel, credentials: Credentials, message: OutgoingMessage
) -> None:
    """An address and a button hold a recipient's values like a text does."""
    template = {"template_type": "button", "text": "Dear Nguyễn", "buttons": [{"url": "https://e.org/?n=Ann"}]}
    content = Content(
        attachment=Attachment(type="template", template=template), quick_replies=[QuickReply(title="Go, Ann")]
    )
    said = "button: Dear Nguyễn, https://e.org/?n=Ann, Go, Ann"
    graph.route().mock(return_value=httpx.Response(400, json={"error": {"message": said, "code": 42}}))

    outcome = (await channel.send(credentials, msgspec.structs.replace(message, content=content))).outcome

    assert isinstance(outcome, Failed)
    assert outcome.fault.message == "button: ***, ***, ***"


async def test_a_text_too_short_to_tell_anything_leaves_the_error_readable(
    graph: respx.MockRouter, channel: MessengerChannel, credentials: Credentials, message: OutgoingMessage
) -> None:
    graph.route().mock(return_value=httpx.Response(400, json={"error": {"message": "no such page", "code": 42}}))
    short = msgspec.structs.replace(message, content=Content(text="a"))
    outcome = (await channel.send(credentials, short)).outcome
    assert isinstance(outcome, Failed)
    assert outcome.fault.message == "no such page"


def test_nothing_of_the_channel_shows_a_secret(credentials: Credentials, channel: MessengerChannel) -> None:
    for secret in secrets_of(credentials):
        assert secret not in repr(credentials) + repr(channel) + repr(vars(channel))
