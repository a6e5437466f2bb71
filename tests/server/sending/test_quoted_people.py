"""What the platform quotes of a person or of a text is nowhere in the database's files."""

from pathlib import Path

import pytest

from domain.page_events import SendMode
from domain.recipient import Recipient
from server.sandbox.runner import Sandbox
from tests.server.sending.works import Works

NAME, CITY, TEXT = "Ann Quotedly", "Quotesville", "A private word about your diagnosis"
ANN = Recipient(id="ann", name=NAME, variables={"city": CITY})


@pytest.mark.parametrize("mode", SendMode)
@pytest.mark.parametrize("text", [TEXT, TEXT + " in {{city}}"])
async def test_no_error_that_quotes_a_person_is_recorded_as_it_came(
    works: Works, sandbox: Sandbox, tmp_path: Path, mode: SendMode, text: str
) -> None:
    """Whether the text asks for their name or not, at the first attempt and in a resend."""
    await works.put_page(send_mode=mode)
    said = f"(#613) Quotedly: {NAME.upper()} (\x1b[31m{CITY if 'city' in text else ''}\u202e) got '{text[2:30]}'"
    effect = {"kind": "error", "code": 613, "subcode": 2018338, "message": said, "user_msg": f"{NAME}!"}
    await sandbox.control.order({"effect": effect, "recipients": ["ann"]})
    message_id = await works.send([ANN, Recipient(id="ben", name="Ben")], text=text.replace("{{city}}", "{{city|-}}"))
    await works.done(message_id)
    await works.resend(message_id)
    await works.done(message_id)

    attempts = (await works.attempts(message_id))["ann"]
    assert len(attempts) == 2
    for attempt in attempts:
        assert attempt.error_message.startswith("(#613) ***: ***")
        assert attempt.error_message.isprintable()
    for file in tmp_path.iterdir():
        stored = file.read_bytes().lower()
        assert not any(word in stored for word in (b"quotedly", b"quotesville", b"private word", b"\\u202e")), file
