"""A message while it is written: what was entered, what is missing, and the request that it makes."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

from redrive.cli.message_text import is_blank
from redrive.client import Client
from redrive.dashboard.formats import span
from redrive.dashboard.recipient_file import MAX_ADDRESS, MAX_TEXT, RecipientFile, TextCheck
from redrive.dashboard.retry_choice import RetryChoice
from redrive.recipients_csv import BadCsv, CsvProblem
from redrive.send_any import send_any
from redrive.times import time_passed, timestamp
from redrive.v1.content_pb2 import Attachment, AttachmentType, Content, MessagingType, NotificationType
from redrive.v1.delivery_service_pb2 import SendRequest, SendResponse, SendStreamResponse
from redrive.v1.message_pb2 import OnUnconfirmed

Answer: TypeAlias = SendResponse | SendStreamResponse


@dataclass(frozen=True)
class Schedule:
    """When it is to be sent: as the viewer typed it, and the moment that this is in the viewer's zone."""

    typed: str = ""
    time: datetime | None = None


class Composition:
    """`id` is the request's id too: however often it is sent, it is sent once."""

    def __init__(self, composition_id: str) -> None:
        self.id = composition_id
        self.page_id = ""
        self.title = ""
        self.text = ""
        self.file_name = ""
        self.recipients: RecipientFile | None = None
        self.csv_problems: list[CsvProblem] = []
        self.more_csv_problems = 0  # those that are not listed
        self.retry = RetryChoice()
        self.on_unconfirmed = OnUnconfirmed.ON_UNCONFIRMED_HOLD
        self.messaging_type = MessagingType.MESSAGING_TYPE_UPDATE
        self.tag = ""
        self.notification_type = NotificationType.NOTIFICATION_TYPE_REGULAR
        self.attachment_type = AttachmentType.ATTACHMENT_TYPE_UNSPECIFIED
        self.attachment_url = ""
        self.schedule = Schedule()
        self.is_being_sent = False
        self.message_id = ""  # once it was sent

    def forget_file(self) -> None:
        """Another file is on its way: nobody is sent to meanwhile."""
        self.recipients, self.csv_problems, self.more_csv_problems = None, [], 0

    async def take_file(self, path: Path) -> None:
        """Reads what was uploaded; a file with problems leaves no recipients."""
        self.forget_file()
        try:
            self.recipients = await asyncio.to_thread(RecipientFile, path)
        except BadCsv as error:
            self.csv_problems, self.more_csv_problems = error.problems, error.more

    async def check_text(self) -> TextCheck | None:
        """Return what the text, or the attachment's address, comes to for every recipient; None without recipients."""
        if self.recipients is None:
            return None
        return await asyncio.to_thread(self.recipients.check, self.filled_string, self.limit)

    @property
    def filled_string(self) -> str:
        """The string that variables are filled in in: the attachment's address, or else the text."""
        return self.attachment_url.strip() if self.attachment_type else self.text

    @property
    def limit(self) -> int:
        """The most characters that it may have once it is filled in."""
        return MAX_ADDRESS if self.attachment_type else MAX_TEXT

    def gaps(self) -> Iterator[str]:
        """What has to be given or mended before it can be sent, in words."""
        if not self.page_id:
            yield "Choose the page that sends."
        if self.recipients is None:
            yield "Give the recipients: a CSV file without problems."
        yield from self._content_gaps()
        if self.schedule.typed and self.schedule.time is None:
            yield "The time to send at: give a day and a time, or leave it empty."
        yield from self.retry.gaps()

    def _content_gaps(self) -> Iterator[str]:
        has_attachment = bool(self.attachment_type)
        if is_blank(self.text) and not has_attachment:
            yield "Write a text, or attach a file."
        if self.text and has_attachment:
            yield "Leave the text empty, or attach nothing: the platform takes one or the other."
        if has_attachment and not self.attachment_url.strip().startswith(("https://", "http://", "{{")):
            yield "The attachment: give its address, which begins with https://."
        if self.is_tagged and not self.tag:
            yield "Choose the tag."

    def schedule_passed(self, now: datetime) -> str:
        """Return in words how long ago the time to send at was; empty if it is to come or less than a minute ago."""
        ago = time_passed(self.schedule.time, now) if self.schedule.time else None
        return f"The time to send at passed {span(ago.total_seconds())} ago." if ago else ""

    @property
    def is_tagged(self) -> bool:
        """Whether it says which of the platform's exceptions to the 24 hours it uses."""
        return self.messaging_type == MessagingType.MESSAGING_TYPE_MESSAGE_TAG

    def header(self, *, is_dry_run: bool = False) -> SendRequest:
        """The request without its recipients; only where there are no gaps."""
        return SendRequest(
            request_id=self.id,
            page_id=self.page_id,
            title=self.title.strip(),
            content=self._content(),
            retry_policy=self.retry.policy(),
            on_unconfirmed=self.on_unconfirmed,
            validate_only=is_dry_run,
            schedule_time=timestamp(self.schedule.time),
        )

    async def send(self, client: Client, header: SendRequest, recipients: RecipientFile) -> Answer:
        """Sends it, or tries whether it could be sent. Raises RedriveError; nothing that was entered is lost then."""
        answer = await send_any(client, header, recipients.people)
        if not header.validate_only:
            self.message_id = answer.message.id
            self.recipients = None
        return answer

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


def text_gaps(check: TextCheck) -> Iterator[str]:
    """What has to be corrected in a text or an address, given every recipient's variables."""
    for name in check.no_column:
        yield f"The text says {{{{{name}}}}}, and the file has no column {name}."
    if check.too_long.count:
        yield f"The text is longer than {check.limit:,} characters for {check.too_long.count:,} of the recipients."
    if check.lacking.count:
        cells = f"{check.lacking.count:,} cells are empty" if check.lacking.count > 1 else "One cell is empty"
        yield f"{cells} for which the text has no default: fill them, or write one, as in {{{{name|friend}}}}."
    if check.blank.count:
        yield f"The text is blank for {check.blank.count:,} of the recipients."
