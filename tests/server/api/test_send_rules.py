"""Rules of Send: violations, their paths and texts."""

import math
from typing import Any, cast

import pytest
from google.protobuf.message import Message

from domain.template_size import MAX_TEMPLATE_BYTES
from redrive.v1.content_pb2 import Content, QuickReply, Recipient
from redrive.v1.delivery_service_pb2 import Recipients
from tests.server.api.requests import (
    IMAGE,
    MESSAGE_TAG,
    TEMPLATE,
    attached,
    replying,
    resend,
    retrying,
    send_request,
    sending,
    template,
    to,
)
from tests.server.api.rule_checks import NUL, ONE_LINE, PAGE_ID, PERSON_NAME, at_most, ids, violations

URL = "https://example.org/a.png"
TEMPLATE_LEAVES = "must not hold NUL characters or numbers that are not finite"
NO_NAME = "has {{ }} around text that is not a name of letters, digits and underscores"
BLANK = "must not be blank: it has only spaces or invisible characters"
BRACES_IN_KEY = "must not have {{ or }} in a key: only values are filled in"
TAGGED = "must be HUMAN_AGENT or CUSTOMER_FEEDBACK with MESSAGING_TYPE_MESSAGE_TAG"
MANY_TIMES_TOO_LARGE = "must have at most 65,536 bytes as JSON and 1,000 values, has more"


def nested(innermost: Any, *, levels: int) -> dict[str, Any]:
    """Return a template with this many nested objects, including the innermost one."""
    for _ in range(levels - 1):
        innermost = {"a": innermost}
    return cast("dict[str, Any]", innermost)


BROKEN: list[tuple[Message, str, str]] = [
    # Send
    (send_request(request_id="r" * 129), "request_id", at_most(128, 129)),
    (send_request(request_id="a\0b"), "request_id", NUL),
    (send_request(page_id=""), "page_id", "is required"),
    (send_request(page_id="1" * 65), "page_id", at_most(64, 65)),
    (send_request(page_id="a/b"), "page_id", PAGE_ID),
    (send_request(title="t" * 312), "title", at_most(200, 312)),
    *((send_request(title=f"a{control}b"), "title", ONE_LINE) for control in "\0\t\n\r\x1b\x7f\x85\x9b\u2028"),
    (send_request(content=None), "content", "is required"),
    (send_request(recipients=[]), "recipients", "must have at least 1 entry"),
    (
        send_request(recipients=[Recipient(id="ann")] * 10_001),
        "recipients",
        "must have at most 10,000 entries, has 10,001",
    ),
    (send_request(on_unconfirmed=3), "on_unconfirmed", "must be a known OnUnconfirmed (1 to 2)"),
    (send_request(on_unconfirmed=-1), "on_unconfirmed", "must be a known OnUnconfirmed (1 to 2)"),
    (retrying(type=9), "retry_policy.type", "must be a known RetryType (1 to 3)"),
    (
        retrying(max_retry_attempts=11),
        "retry_policy.max_retry_attempts",
        "must be at most 10",
    ),
    (
        retrying(max_retry_attempts=-1),
        "retry_policy.max_retry_attempts",
        "must be at least 0",
    ),
    # Content
    (send_request(content=Content()), "content.text", "is required without an attachment"),
    (
        attached("and a text", type=IMAGE, url=URL),
        "content.text",
        "must be empty with an attachment: the platform takes one or the other",
    ),
    (send_request(text="x" * 2_001), "content.text", at_most(2_000, 2_001) + " without its variables"),
    (send_request(text="{{name}}" + "x" * 2_001), "content.text", at_most(2_000, 2_001) + " without its variables"),
    (
        send_request(text="{{name}}" * 2_000),
        "content.text",
        at_most(2_000, 16_000) + " before its variables are filled in",
    ),
    (send_request(text="a\0b"), "content.text", NUL),
    (send_request(text="Hi {{name}, {{city}}"), "content.text", "has {{ without }} after it"),
    (send_request(text="Hi {{name"), "content.text", "has {{ without }} after it"),
    (send_request(text="Hi {name}}, {{city}}"), "content.text", "has }} without {{ before it"),
    (send_request(text="Hi {name}}, of {city"), "content.text", "has }} without {{ before it"),
    (send_request(text="Hi { {name}}"), "content.text", "has }} without {{ before it"),
    (send_request(text="Hi name}}"), "content.text", "has }} without {{ before it"),
    (send_request(text="{{name}} }} {{"), "content.text", "has }} without {{ before it"),
    (send_request(text="Hi {{first name}}"), "content.text", NO_NAME),
    (send_request(text="Hi {{}}"), "content.text", NO_NAME),
    (send_request(text="Hi {{|friend}}"), "content.text", NO_NAME),
    (send_request(text="Hi {{name|a {friend}}}"), "content.text", "has a default with braces in {{ }}"),
    (send_request(text="Hi {{name|{{nick}}}}"), "content.text", "has a default with braces in {{ }}"),
    (send_request(text="   "), "content.text", BLANK),
    (send_request(text="\u00a0\u200b\t"), "content.text", BLANK),
    (
        replying(*[QuickReply(title="Yes")] * 14),
        "content.quick_replies",
        "must have at most 13 entries, has 14",
    ),
    (
        replying(QuickReply(title="Yes"), QuickReply(content_type="location")),
        "content.quick_replies[1].content_type",
        "must be text, user_phone_number or user_email",
    ),
    (
        replying(QuickReply()),
        "content.quick_replies[0].title",
        "must have 1 to 20 characters if content_type is text",
    ),
    (replying(QuickReply(title="t" * 21)), "content.quick_replies[0].title", at_most(20, 21)),
    (
        replying(QuickReply(title="{{name}}" + "t" * 21)),
        "content.quick_replies[0].title",
        at_most(20, 21) + " without its variables",
    ),
    (replying(QuickReply(title="\u3164 ")), "content.quick_replies[0].title", BLANK),
    (replying(QuickReply(title="{{first name}}")), "content.quick_replies[0].title", NO_NAME),
    (replying(QuickReply(title="a\0")), "content.quick_replies[0].title", NUL),
    (replying(QuickReply(title="a", payload="p" * 1001)), "content.quick_replies[0].payload", at_most(1000, 1001)),
    (
        replying(QuickReply(title="a", payload='{"a":"name}}"}')),
        "content.quick_replies[0].payload",
        "has }} without {{ before it",
    ),
    *[
        (replying(QuickReply(title="a", payload=payload)), "content.quick_replies[0].payload", words)
        for payload, words in {
            '{"a":"{{name"}': "has {{ without }} after it",
            '{"a":"{{name","a":1}': "has {{ without }} after it",
            '{"{{ имя":1}': "has {{ without }} after it",
            '{"a":"Hi {{first name}}"}': NO_NAME,
            '{"a":"{{}}"}': NO_NAME,
            '{"a":"{{n}} }}"}': "has }} without {{ before it",
            '{"a":"{{name|a {b}}}"}': "has a default with braces in {{ }}",
            '{"a":"}}"': "has }} without {{ before it",
            "[" * 900 + "}}": "has }} without {{ before it",
        }.items()
    ],
    (replying(QuickReply(title="a", payload="{{")), "content.quick_replies[0].payload", "has {{ without }} after it"),
    (
        replying(QuickReply(title="a", payload="{{a}}" * 2_001)),
        "content.quick_replies[0].payload",
        at_most(1_000, 10_005) + " before its variables are filled in",
    ),
    (replying(QuickReply(title="a", payload="\0")), "content.quick_replies[0].payload", NUL),
    (
        sending(messaging_type=7),
        "content.messaging_type",
        "must be a known MessagingType (1 to 3)",
    ),
    (sending(messaging_type=MESSAGE_TAG), "content.tag", TAGGED),
    (
        sending(messaging_type=MESSAGE_TAG, tag="ACCOUNT_UPDATE"),
        "content.tag",
        TAGGED,
    ),
    (
        sending(tag="HUMAN_AGENT"),
        "content.tag",
        "must be empty, except with MESSAGING_TYPE_MESSAGE_TAG",
    ),
    (
        sending(notification_type=4),
        "content.notification_type",
        "must be a known NotificationType (1 to 3)",
    ),
    (
        replying(*[QuickReply(title="a", payload="{{a|" + "x" * 6_000 + "}}")] * 12),
        "content.quick_replies",
        "must have at most 65,536 bytes together, have 72,144",
    ),
    (send_request(text="{{a}}" * 2_000_000), "content.text", at_most(2_000, 10_000_000)),
    (attached(type=IMAGE, url=URL + "x" * 5_000_000), "content.attachment.url", at_most(2_048, 5_000_025)),
    (resend(content=Content(text="x" * 5_000_000)), "content.text", at_most(2_000, 5_000_000)),
    (resend(error_types=[1] * 101), "error_types", "must have at most 100 entries, has 101"),
    # Attachment
    (attached(url=URL), "content.attachment.type", "is required"),
    (attached(type=6, url=URL), "content.attachment.type", "must be a known AttachmentType (1 to 5)"),
    (attached(type=IMAGE), "content.attachment.url", "is required, except for a template"),
    (attached(type=IMAGE, url="ftp://example.org"), "content.attachment.url", "must be an http or https address"),
    (attached(type=IMAGE, url="https://"), "content.attachment.url", "must be an http or https address"),
    (attached(type=IMAGE, url="https://a b"), "content.attachment.url", "must be an http or https address"),
    (attached(type=IMAGE, url=f"{URL}?{'q' * 2048}"), "content.attachment.url", at_most(2048, 2074)),
    (attached(type=IMAGE, url="https://e.org/{{a b}}"), "content.attachment.url", NO_NAME),
    (attached(type=IMAGE, url="https://e.org/a}}"), "content.attachment.url", "has }} without {{ before it"),
    (attached(type=IMAGE, url="ftp://{{host}}"), "content.attachment.url", "must be an http or https address"),
    (attached(type=IMAGE, url="https://{{a}} {{b}}"), "content.attachment.url", "must be an http or https address"),
    (attached(type=IMAGE, url="https://e.org/\u200b"), "content.attachment.url", "must be an http or https address"),
    (attached(type=IMAGE, url="https://:80/a"), "content.attachment.url", "must be an http or https address"),
    (attached(type=TEMPLATE), "content.attachment.template", "is required for a template"),
    (template(a=[{"b": "{{x"}]), "content.attachment.template", "a[0].b has {{ without }} after it"),
    (template(**{"{{x}}": 1}), "content.attachment.template", BRACES_IN_KEY),
    (template(a=[{"x}}": 1}]), "content.attachment.template", BRACES_IN_KEY),
    (template(buttons=[{"title": ""}]), "content.attachment.template", f"buttons[0].title {BLANK}"),
    (
        template(buttons=[{"url": "ftp://{{x}}"}]),
        "content.attachment.template",
        "buttons[0].url must be an http or https address",
    ),
    (
        template(subtitle="{{x}}" + "y" * 2_001),
        "content.attachment.template",
        f"subtitle {at_most(2_000, 2_001)} without its variables",
    ),
    (
        template(a=["{{x}}"] * 501),
        "content.attachment.template",
        "must have at most 500 placeholders, has 501",
    ),
    *[
        (template(**payload), "content.attachment.template", words)
        for payload, words in (
            ({"a": "x" * (MAX_TEMPLATE_BYTES - 7)}, "must have at most 65,536 bytes as JSON, has 65,537"),
            ({"a": "é" * (MAX_TEMPLATE_BYTES // 2)}, "must have at most 65,536 bytes as JSON, has 65,544"),
            ({"k" * MAX_TEMPLATE_BYTES: 1}, "must have at most 65,536 bytes as JSON, has 65,542"),
            ({"a": ["x" * 660] * 99}, "must have at most 65,536 bytes as JSON, has 65,644"),
            ({"a": "x" * 2_000_000}, MANY_TIMES_TOO_LARGE),
            ({"a": [0] * 100_000}, MANY_TIMES_TOO_LARGE),
            ({"a": [0] * 1_000}, "must have at most 1,000 values, has more"),
            ({f"k{number}": None for number in range(1_001)}, "must have at most 1,000 values, has more"),
            ({"a": [{"b": [{}]}] * 334}, "must have at most 1,000 values, has more"),
            (nested({}, levels=11), "must have at most 10 levels, has more"),
            (nested([], levels=11), "must have at most 10 levels, has more"),
            (nested({}, levels=80), "must have at most 10 levels, has more"),
        )
    ],
    (
        attached(type=IMAGE, url=URL, template={"a": 1}),
        "content.attachment.template",
        "must be empty, except for a template",
    ),
    (template(a={"b": ["\0"]}), "content.attachment.template", TEMPLATE_LEAVES),
    (template(**{"\0": 1}), "content.attachment.template", TEMPLATE_LEAVES),
    (template(a=[{"b": math.inf}]), "content.attachment.template", TEMPLATE_LEAVES),
    (template(a=math.nan), "content.attachment.template", TEMPLATE_LEAVES),
    # Recipient
    (to(id=""), "recipients[17].id", "is required"),
    (to(id="i" * 129), "recipients[17].id", at_most(128, 129)),
    (to(id="a b"), "recipients[17].id", "holds U+0020 SPACE"),
    (to(id="a\u00a0b"), "recipients[17].id", "holds U+00A0 NO-BREAK SPACE"),
    (to(id="a\0"), "recipients[17].id", "holds U+0000 NULL"),
    (to(id="1.23457E+15"), "recipients[17].id", "is a number that a spreadsheet has rounded"),
    (to(name="n" * 201), "recipients[17].name", at_most(200, 201)),
    (to(name="\0"), "recipients[17].name", PERSON_NAME),
    (
        to(variables={f"v{number}": "" for number in range(51)}),
        "recipients[17].variables",
        "must have at most 50 entries, has 51",
    ),
    (to(variables={"city": "c" * 1001}), 'recipients[17].variables["city"]', at_most(1000, 1001)),
    (to(variables={"city": "\0"}), 'recipients[17].variables["city"]', NUL),
    (to(variables={"": ""}), 'recipients[17].variables[""]', "its name must be 1 to 64 letters, digits or underscores"),
    (
        to(variables={'a"b': ""}),
        'recipients[17].variables["a\\"b"]',
        "its name must be 1 to 64 letters, digits or underscores",
    ),
    (to(variables={"k" * 65: ""}), f'recipients[17].variables["{"k" * 64}"]', at_most(64, 65)),
    # A part of a stream
    (Recipients(), "recipients", "must have at least 1 entry"),
    (
        Recipients(recipients=[Recipient(id="ann")] * 10_001),
        "recipients",
        "must have at most 10,000 entries, has 10,001",
    ),
    (Recipients(recipients=[Recipient()]), "recipients[0].id", "is required"),
]


@pytest.mark.parametrize(("request_", "path", "words"), BROKEN, ids=ids(BROKEN))
def test_a_violation_is_reported_at_its_field_only(request_: Message, path: str, words: str) -> None:
    assert violations(request_) == {path: words}


def _with_payload(payload: str) -> Message:
    return replying(QuickReply(title="a", payload=payload))


def _with_button_payload(payload: str) -> Message:
    return template(buttons=[{"payload": payload}])


FITTING: list[Message] = [
    send_request(),
    send_request(request_id="r" * 128, title="t" * 200, page_id="A9._-" + "x" * 59),
    send_request(text="x" * 2000),
    send_request(text="{{{name}}} {{ city }}{{city}} {a} } {"),
    send_request(text="{{" + " " * 5000 + "name}}" + "x" * 1000),
    send_request(text="{{name|}}{{name| my | friend }}"),
    replying(QuickReply(title="{{name|my friend from the shop}}", payload='{"a":{"b":{"n":{{n}}}}}')),
    *[
        shaped(payload)
        for payload in ('{"a":"}}"}', '{"a":{"b":"}"}}', '{"a":{"b":"{"}}', '{"s":"{{"}', '{"s":"\\n}}","n":{{n}}}')
        for shaped in (_with_payload, _with_button_payload)
    ],
    attached(type=IMAGE, url='https://x.y/?q={"a":{"b":1}}'),
    template(buttons=[{"url": 'https://x.y/?q={"a":{"b":{{n}}}}'}]),
    send_request(text="f(){if(x){y}} {{name}}"),
    replying(QuickReply(content_type="user_email", title=" ")),
    attached(type=IMAGE, url="{{image_url}}"),
    attached(type=IMAGE, url="https://e.org/{{path|" + "p" * 3_000 + "}}"),
    template(text="x" * 5_000, title="Hello {{name}}", url="tel:+1", buttons=[{"url": "{{u}}"}], a=["{{x}}"] * 498),
    retrying(),
    retrying(max_retry_attempts=10),
    attached(type=IMAGE, url="HTTP://example.org"),
    attached(type=IMAGE, url="https://e.org/" + "q" * 2034),
    attached(type=IMAGE, url=URL, template={}),
    template(a="x" * (MAX_TEMPLATE_BYTES - 8)),
    template(a=[0] * 999),
    template(**nested({"a": "x"}, levels=10)),
    template(a=None, b=[1, 2.5, True, {"c": "text"}]),
    sending(messaging_type=MESSAGE_TAG, tag="CUSTOMER_FEEDBACK"),
    replying(*[QuickReply(title="t" * 20, payload="p" * 1000)] * 13),
    replying(QuickReply(content_type="user_email"), QuickReply(content_type="text", title="t")),
    to(id="i" * 128, name="n" * 200, variables={f"v_{number}" + "k" * 60: "v" * 1000 for number in range(10, 60)}),
]


@pytest.mark.parametrize("request_", FITTING, ids=range(len(FITTING)))
def test_values_at_the_limit_are_accepted(request_: Message) -> None:
    assert violations(request_) == {}
