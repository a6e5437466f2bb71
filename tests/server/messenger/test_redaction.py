"""No token and no message text from the platform's answers is stored or shown."""

import html
import json
import time
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import httpx
import msgspec
import pytest
import respx
from hypothesis import assume, given
from hypothesis import strategies as st

from domain.content import Attachment, Content, QuickReply
from domain.fault import ErrorType, Fault, FaultScope, RetryRule
from domain.outcome import Failed, Sent
from server.messenger.channel import OutgoingMessage, PageCredentials, TokenRejected
from server.messenger.messenger_channel import MessengerChannel
from server.messenger.redaction import MAX_MESSAGE_LENGTH, RUN, Redaction, redact
from server.messenger.request import secrets_of


def redacted(message: str, *secrets: str) -> str:
    fault = Fault(message=message, type=ErrorType.OTHER, scope=FaultScope.RECIPIENT, retry=RetryRule.NEVER)
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
def test_text_that_looks_like_a_token_is_removed(said: str, kept: str) -> None:
    assert redacted(said) == kept


def test_overlapping_secrets_are_removed_completely() -> None:
    assert redacted("got key-with-tail", "key", "key-with-tail") == "got ***"


def test_a_long_message_is_shortened_after_its_secrets_are_removed() -> None:
    message = redacted("x" * (MAX_MESSAGE_LENGTH - 4) + "secret-at-the-edge", "secret-at-the-edge")
    assert message == "x" * (MAX_MESSAGE_LENGTH - 4) + "***"
    assert redacted("x" * (MAX_MESSAGE_LENGTH - 4) + "EAABwzLixnjYBAOsomeOtherPage42") == message
    assert len(redacted("y" * 9999)) == MAX_MESSAGE_LENGTH


def test_the_beginning_and_the_end_of_a_long_message_are_kept() -> None:
    message = redacted("(#100) Invalid parameter" + "x" * 9999 + " (Title of button 2 is too long)")
    assert len(message) == MAX_MESSAGE_LENGTH
    assert message.startswith("(#100) Invalid parameter")
    assert message.endswith("x (Title of button 2 is too long)")


def test_a_success_needs_no_redaction() -> None:
    assert redact(Sent("m_1"), ["m_1"]) == Sent("m_1")


@given(st.text(), st.text(min_size=1), st.text())
def test_every_secret_is_removed(before: str, secret: str, after: str) -> None:
    assume("*" not in secret)  # the replacement stars could form such a secret again
    assert secret not in redacted(before + secret + after, secret)


async def test_no_secret_of_the_page_and_no_text_is_shown(
    graph: respx.MockRouter, channel: MessengerChannel, credentials: PageCredentials, message: OutgoingMessage
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

    assert isinstance(check, TokenRejected)
    assert check.fault.message == f"*** and *** and *** and {message.content.text}"  # a token check has no message text
    for attempt in attempts:
        assert isinstance(attempt.outcome, Failed)
        assert attempt.outcome.fault.message == "*** and *** and *** and ***"
        assert not any(secret in repr(attempt) for secret in secrets)


async def test_no_string_of_a_content_is_shown_except_the_platforms_own_words(
    graph: respx.MockRouter, channel: MessengerChannel, credentials: PageCredentials, message: OutgoingMessage
) -> None:
    """Addresses and buttons may contain a recipient's values, like texts."""
    template = {"template_type": "button", "text": "Dear Nguyễn", "buttons": [{"url": "https://e.org/?n=Ann"}]}
    content = Content(
        attachment=Attachment(type="template", template=template), quick_replies=[QuickReply(title="Go, Ann")]
    )
    said = "button: Dear Nguyễn, https://e.org/?n=Ann, Go, Ann"
    graph.route().mock(return_value=httpx.Response(400, json={"error": {"message": said, "code": 42}}))

    outcome = (await channel.send(credentials, msgspec.structs.replace(message, content=content))).outcome

    assert isinstance(outcome, Failed)
    assert outcome.fault.message == "button: ***, ***, ***"


async def test_a_very_short_text_leaves_the_error_readable(
    graph: respx.MockRouter, channel: MessengerChannel, credentials: PageCredentials, message: OutgoingMessage
) -> None:
    graph.route().mock(return_value=httpx.Response(400, json={"error": {"message": "no such page", "code": 42}}))
    short = msgspec.structs.replace(message, content=Content(text="a"))
    outcome = (await channel.send(credentials, short)).outcome
    assert isinstance(outcome, Failed)
    assert outcome.fault.message == "no such page"


def test_no_representation_of_the_channel_shows_a_secret(
    credentials: PageCredentials, channel: MessengerChannel
) -> None:
    for secret in secrets_of(credentials):
        assert secret not in repr(credentials) + repr(channel) + repr(vars(channel))


TEXT = 'Dear Ann Müller, your "IBAN" is DE89 3704 & the doctor says <positive>: https://e.org/?n=Ann%20M'
ANN = {"name": "Ann Müller", "city": "Köln", "born": "1979-03-04", "plan": "free", "amount": "100"}


def about_ann(message: str) -> str:
    return Redaction([], [TEXT], [ANN]).text(message)


@pytest.mark.parametrize(
    "written",
    [
        str,
        json.dumps,
        lambda text: json.dumps(json.dumps(text)),
        lambda text: json.dumps(text, ensure_ascii=False),
        quote,
        quote_plus,
        lambda text: quote(json.dumps({"text": text})),
        html.escape,
        lambda text: html.escape(html.escape(text)),
        str.upper,
        lambda text: text.replace(" ", "\u00a0\n"),
        lambda text: text.replace("ü", "u\u0308"),
        "\u200b".join,
        "\u202e".join,
    ],
)
def test_a_quoted_text_is_removed_in_every_notation(written: Callable[[str], str]) -> None:
    kept = about_ann(f"(#100) Cannot send [{written(TEXT)}] now")

    assert kept.startswith("(#100) Cannot send [")
    assert kept.endswith("] now")
    assert not any(part in kept for part in ("Ann", "ANN", "IBAN", "3704", "doctor", "DOCTOR", "M%C3", "positive"))


def test_every_long_part_of_a_text_is_removed() -> None:
    text = "Liebe Ann, dein Konto DE89 3704 ist leer & der Arzt sagt <positiv>: 'Krebs'"
    redaction = Redaction([], [text])
    for start in range(len(text) - RUN):
        for part in (text[start : start + RUN], text[start:]):
            assert part not in redaction.text(f"(#100) near '{part}'")


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("Ann Müller has blocked you", "*** has blocked you"),
        ("ANN MULLER has blocked you", "*** has blocked you"),
        ("Ms. Müller lives in Koln or K\\u00f6ln", "Ms. *** lives in *** or ***"),
        ("born%3D1979-03-04", "born%3D***"),
        ("plan FREE, FREEdom", "plan ***, FREEdom"),
        ("the amount is 100.", "the amount is ***."),
    ],
)
def test_names_and_values_are_removed_as_whole_words(said: str, kept: str) -> None:
    assert about_ann(said) == kept


@pytest.mark.parametrize(
    "said",
    [
        "(#100) No matching user found",
        "(#551) This person isn't available right now.",
        "(#10) This message is sent outside of allowed window.",
        "Invalid OAuth access token - Cannot parse access token",
        "a person is not available: no matching user",
    ],
)
def test_an_error_that_shares_words_with_a_text_stays_readable(said: str) -> None:
    text = "Please send this message: a person in the window isn't right, and the access token of no user is found."
    assert Redaction([], [text], [{"name": "user", "plan": "not", "code": "100"}]).text(said) == said


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("\x1b[31mred\x1b[0m", "[31mred[0m"),
        ("\x1b]0;title\x07", "]0;title"),
        ("a\x9b2Jb\x85c", "a2Jb c"),
        ("a\u202etxt.exe\u2066b\u2069\u200e\u200f", "atxt.exeb"),
        ("one\r\ntwo\u2028three\u2029four\tfive", "one two three four five"),
        ("a\u200bb\ufeffc\u00add\u2060e\U000e0041", "abcde"),
        ("a\ud800b\udfff", "ab"),
        ("\x7f\x00\x08", ""),
        ("EA\u200bABwzLixnjYBAOsomeOtherPage42", "***"),
    ],
)
def test_control_and_invisible_characters_are_removed(said: str, kept: str) -> None:
    assert redacted(said) == kept


def test_an_error_of_any_length_is_cleaned_within_milliseconds() -> None:
    text = TEXT * 20
    redaction = Redaction(["secret"], [text], [ANN])
    for said in (text * 500, quote(text) * 200, "%41" * 500_000, "\\u0041" * 200_000, "&" * 1_000_000, "x" * 1_000_000):
        kept = redaction.text(said)
        assert min(_cpu_seconds(redaction, said) for _ in range(3)) < 0.2
        assert len(kept) <= MAX_MESSAGE_LENGTH
        assert "doctor" not in kept


def _cpu_seconds(redaction: Redaction, said: str) -> float:
    """Return the CPU time of one call in this thread; a garbage collection may lengthen a single one."""
    started = time.thread_time()
    redaction.text(said)
    return time.thread_time() - started


async def test_the_answer_to_a_batch_quotes_no_part_of_it(
    graph: respx.MockRouter, channel: MessengerChannel, credentials: PageCredentials, message: OutgoingMessage
) -> None:
    """This holds for an error of the whole batch, and for one part's error that quotes another part."""
    ann = msgspec.structs.replace(message, variable_values=lambda: ANN)
    bob = msgspec.structs.replace(message, content=Content(text="Bob, your code is 4711-0815"), variable_values=dict)
    said = {"error": {"message": "Ann Müller of Köln, code is 4711-0815", "code": 42}}
    parts = [{"code": 400, "body": json.dumps(said)}, {"code": 400, "body": json.dumps(said)}]

    for answer in (said, parts):
        graph.route().mock(return_value=httpx.Response(200 if answer is parts else 400, json=answer))
        for attempt in await channel.send_batch(credentials, [ann, bob]):
            assert isinstance(attempt.outcome, Failed)
            assert attempt.outcome.fault.message == "*** of ***,***"


async def test_an_error_is_classified_before_its_redaction(
    graph: respx.MockRouter, channel: MessengerChannel, credentials: PageCredentials, message: OutgoingMessage
) -> None:
    """This holds even if the message text contains the deciding words."""
    quoting = msgspec.structs.replace(message, content=Content(text="no matching user found"))
    error = {"message": "(#100) No matching user found", "code": 100}
    graph.route().mock(return_value=httpx.Response(400, json={"error": error}))

    outcome = (await channel.send(credentials, quoting)).outcome

    assert isinstance(outcome, Failed)
    assert outcome.fault.type is ErrorType.INVALID_RECIPIENT
    assert outcome.fault.message == "(#100) ***"


async def test_a_message_id_contains_no_control_characters(
    graph: respx.MockRouter, channel: MessengerChannel, credentials: PageCredentials, message: OutgoingMessage
) -> None:
    graph.route().mock(return_value=httpx.Response(200, json={"message_id": "m_\x1b[2J\u202e1" + "x" * 9_999}))

    outcome = (await channel.send(credentials, message)).outcome

    assert isinstance(outcome, Sent)
    assert outcome.provider_message_id == ("m_[2J1" + "x" * 9_999)[:1_000]
