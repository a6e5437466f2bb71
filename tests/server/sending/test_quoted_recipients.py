"""The database's files contain nothing that the platform's errors quote of recipients or texts."""

from pathlib import Path

import pytest

from domain.commands import Recipient
from domain.page_events import SendMode
from server.sandbox.runner import Sandbox
from tests.server.sending.service_process import ServiceProcess

NAME, CITY, TEXT = "Ann Quotedly", "Quotesville", "A private word about your diagnosis"
ANN = Recipient(id="ann", name=NAME, variables={"city": CITY})


@pytest.mark.parametrize("mode", SendMode)
@pytest.mark.parametrize("text", [TEXT, TEXT + " in {{city}}"])
async def test_no_error_that_quotes_a_recipient_is_stored_unredacted(
    service: ServiceProcess, sandbox: Sandbox, tmp_path: Path, mode: SendMode, text: str
) -> None:
    """This holds with and without the name in the text, at the first attempt and in a resend."""
    await service.put_page(send_mode=mode)
    said = f"(#613) Quotedly: {NAME.upper()} (\x1b[31m{CITY if 'city' in text else ''}\u202e) got '{text[2:30]}'"
    effect = {"kind": "error", "code": 613, "subcode": 2018338, "message": said, "user_msg": f"{NAME}!"}
    await sandbox.control.order({"effect": effect, "recipients": ["ann"]})
    message_id = await service.send([ANN, Recipient(id="ben", name="Ben")], text=text.replace("{{city}}", "{{city|-}}"))
    await service.done(message_id)
    await service.resend(message_id)
    await service.done(message_id)

    attempts = (await service.attempts(message_id))["ann"]
    assert len(attempts) == 2
    for attempt in attempts:
        assert attempt.error_message.startswith("(#613) ***: ***")
        assert attempt.error_message.isprintable()
    for file in tmp_path.iterdir():
        stored = file.read_bytes().lower()
        assert not any(word in stored for word in (b"quotedly", b"quotesville", b"private word", b"\\u202e")), file
