"""A message that is being composed: its inputs, its problems, and the request to send it."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

from redrive.client import Client
from redrive.dashboard.state.recipient_file import MAX_TEXT, MAX_URL, RecipientFile, TextCheck
from redrive.dashboard.state.retry_choice import RetryChoice
from redrive.recipients_csv import BadCsv, CsvProblem
from redrive.send_any import send_any
from redrive.texts.formats import format_count, format_seconds
from redrive.texts.message_text import is_blank
from redrive.times import time_since, to_timestamp
from redrive.v1.content_pb2 import Attachment, AttachmentType, Content, MessagingType, NotificationType
from redrive.v1.delivery_service_pb2 import SendRequest, SendResponse, SendStreamResponse
from redrive.v1.message_pb2 import OnUnconfirmed

SendResult: TypeAlias = SendResponse | SendStreamResponse


@dataclass(frozen=True)
class Schedule:
    """The schedule time as the viewer typed it, and the moment in the viewer's time zone."""

    typed: str = ""
    time: datetime | None = None


class Composition:
    """The inputs of one message. `id` is also the request_id: repeated sends send once."""

    def __init__(self, composition_id: str) -> None:
        self.id = composition_id
        self.page_id = ""
        self.title = ""
        self.text = ""
        self.file_name = ""
        self.recipients: RecipientFile | None = None
        self.csv_problems: list[CsvProblem] = []
        self.more_csv_problems = 0  # problems that are not listed
        self.retry = RetryChoice()
        self.on_unconfirmed = OnUnconfirmed.ON_UNCONFIRMED_HOLD
        self.messaging_type = MessagingType.MESSAGING_TYPE_UPDATE
        self.tag = ""
        self.notification_type = NotificationType.NOTIFICATION_TYPE_REGULAR
        self.attachment_type = AttachmentType.ATTACHMENT_TYPE_UNSPECIFIED
        self.attachment_url = ""
        self.schedule = Schedule()
        self.is_being_sent = False
        self.message_id = ""  # set after the message was sent

    def clear_file(self) -> None:
        """Remove the recipients, before another file is read."""
        self.recipients, self.csv_problems, self.more_csv_problems = None, [], 0

    async def load_file(self, path: Path) -> None:
        """Read an uploaded file; a file with problems leaves no recipients."""
        self.clear_file()
        try:
            self.recipients = await asyncio.to_thread(RecipientFile, path)
        except BadCsv as error:
            self.csv_problems, self.more_csv_problems = error.problems, error.more

    async def check_text(self) -> TextCheck | None:
        """Return the check of the text, or the attachment's URL, for all recipients; None without recipients."""
        if self.recipients is None:
            return None
        return await asyncio.to_thread(self.recipients.check, self.filled_string, self.limit)

    @property
    def filled_string(self) -> str:
        """The string in which variables are filled in: the attachment's URL, or else the text."""
        return self.attachment_url.strip() if self.attachment_type else self.text

    @property
    def limit(self) -> int:
        """The maximum number of characters after variables are filled in."""
        return MAX_URL if self.attachment_type else MAX_TEXT

    def problems(self) -> Iterator[str]:
        """Yield what is missing or wrong before the message can be sent."""
        if not self.page_id:
            yield "Choose the page that sends."
        if self.recipients is None:
            yield "Choose the recipients: a CSV file without problems."
        yield from self._content_problems()
        if self.schedule.typed and self.schedule.time is None:
            yield "Send at: enter a date and a time, or leave it empty."
        yield from self.retry.problems()

    def _content_problems(self) -> Iterator[str]:
        has_attachment = bool(self.attachment_type)
        if is_blank(self.text) and not has_attachment:
            yield "Write a text, or attach a file."
        if self.text and has_attachment:
            yield "Remove the text or the attachment: the platform accepts only one of them."
        if has_attachment and not self.attachment_url.strip().startswith(("https://", "http://", "{{")):
            yield "Attachment: enter its URL, which begins with https://."
        if self.is_tagged and not self.tag:
            yield "Choose a tag."

    def schedule_passed(self, now: datetime) -> str:
        """Return how long ago the schedule time was; empty if it is in the future or less than a minute ago."""
        ago = time_since(self.schedule.time, now) if self.schedule.time else None
        return f"The time to send passed {format_seconds(ago.total_seconds())} ago." if ago else ""

    @property
    def is_tagged(self) -> bool:
        """Whether the message uses a tag, an exception to the 24-hour window."""
        return self.messaging_type == MessagingType.MESSAGING_TYPE_MESSAGE_TAG

    def header(self, *, is_dry_run: bool = False) -> SendRequest:
        """Return the request without recipients; requires that there are no problems."""
        return SendRequest(
            request_id=self.id,
            page_id=self.page_id,
            title=self.title.strip(),
            content=self._content(),
            retry_policy=self.retry.policy(),
            on_unconfirmed=self.on_unconfirmed,
            validate_only=is_dry_run,
            schedule_time=to_timestamp(self.schedule.time),
        )

    async def send(self, client: Client, header: SendRequest, recipients: RecipientFile) -> SendResult:
        """Send the message, or check it with a dry run. Raises RedriveError; the inputs are kept then."""
        response = await send_any(client, header, recipients.csv)
        if not header.validate_only:
            self.message_id = response.message.id
            self.recipients = None
        return response

    def _content(self) -> Content:
        content = Content(
            text=self.text,
            messaging_type=self.messaging_type,
            tag=self.tag if self.is_tagged else "",
            notification_type=self.notification_type,
        )
        if self.attachment_type:
            content.attachment.CopyFrom(Attachment(type=self.attachment_type, url=self.attachment_url.strip()))
        return content


def text_problems(check: TextCheck) -> Iterator[str]:
    """Yield the problems of a text or URL with the variables of all recipients."""
    for name in check.no_column:
        yield f"The text uses {{{{{name}}}}}, but the file has no column {name}."
    if check.too_long.count:
        affected = format_count(check.too_long.count, "recipient")
        yield f"The text is longer than {check.limit:,} characters for {affected}."
    if check.lacking.count:
        cells = f"{check.lacking.count:,} cells are empty" if check.lacking.count > 1 else "One cell is empty"
        yield f"{cells} without a default: fill them, or add a default, as in {{{{name|friend}}}}."
    if check.blank.count:
        yield f"The text is blank for {format_count(check.blank.count, 'recipient')}."
