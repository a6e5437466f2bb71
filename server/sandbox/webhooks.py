"""Webhook events of accepted messages: an echo, a delivery, and for a share of the recipients a read.

They have the platform's form and signature, and are repeated until they are answered with 200, as on the platform.
"""

import asyncio
import hashlib
import hmac
import time
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import aiohttp
import msgspec

from server.sandbox.fault_book import share_point

MAX_EVENTS = 100  # per body; the platform sends up to 1,000
TIMEOUT_SECONDS = 20.0
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0  # seconds before a body is repeated; doubles


class WebhookTarget(msgspec.Struct, frozen=True, kw_only=True):
    """The webhook; the repr shows no secret."""

    url: str
    app_secret: str
    read_share: float = 0.0  # of the recipients, by a hash of id and seed

    def __repr__(self) -> str:
        return f"WebhookTarget({self.url!r})"


class WebhookStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The progress of the webhook."""

    waiting: int  # events not yet answered with 200
    told: int  # events answered with 200
    refusals: int  # bodies with another answer, or none
    last_answer: int  # HTTP status; 0 for none


class _Event(NamedTuple):
    page: str
    time: int
    fields: Mapping[str, Any]


class WebhookOutbox:
    """Pending events, and the task that sends them, one body at a time."""

    def __init__(self, target: WebhookTarget, seed: int) -> None:
        self._target = target
        self._seed = seed
        self._waiting: deque[_Event] = deque()
        self._sending: list[_Event] = []
        self._wakeup = asyncio.Event()
        self._sent = self._refusals = self._last_answer = 0

    @property
    def status(self) -> WebhookStatus:
        """Return the progress."""
        return WebhookStatus(
            waiting=len(self._waiting) + len(self._sending),
            told=self._sent,
            refusals=self._refusals,
            last_answer=self._last_answer,
        )

    def clear(self) -> None:
        """Drop the pending events."""
        self._waiting.clear()
        self._sending = []

    def accepted(self, page: str, recipient: str, metadata: str, message_id: str) -> None:
        """Add the events of an accepted message, even if its answer was an error."""
        now = int(time.time() * 1_000)
        of_page = {"sender": {"id": page}, "recipient": {"id": recipient}, "timestamp": now}
        of_person = {"sender": {"id": recipient}, "recipient": {"id": page}, "timestamp": now}
        echo = {"is_echo": True, "mid": message_id, **({"metadata": metadata} if metadata else {})}
        self._waiting.append(_Event(page, now, {**of_page, "message": echo}))
        self._waiting.append(_Event(page, now, {**of_person, "delivery": {"mids": [message_id], "watermark": now}}))
        if share_point(recipient, self._seed) < self._target.read_share:
            self._waiting.append(_Event(page, now, {**of_person, "read": {"watermark": now}}))
        self._wakeup.set()

    async def run(self) -> None:
        """Send events until cancelled."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(TIMEOUT_SECONDS)) as session:
            while True:
                await self._wakeup.wait()
                self._wakeup.clear()
                while self._waiting:
                    await self._send_some(session)

    async def _send_some(self, session: aiohttp.ClientSession) -> None:
        self._sending = [self._waiting.popleft() for _ in range(min(MAX_EVENTS, len(self._waiting)))]
        body, pause = _body(self._sending), FIRST_PAUSE
        while self._sending and not await self._is_accepted(session, body):
            await asyncio.sleep(pause)
            pause = min(LONGEST_PAUSE, 2 * pause)
        self._sent += len(self._sending)
        self._sending = []

    async def _is_accepted(self, session: aiohttp.ClientSession, body: bytes) -> bool:
        signature = hmac.new(self._target.app_secret.encode(), body, hashlib.sha256).hexdigest()
        headers = {"Content-Type": "application/json", "X-Hub-Signature-256": f"sha256={signature}"}
        try:
            async with session.post(self._target.url, data=body, headers=headers) as answer:
                self._last_answer = answer.status
        except (aiohttp.ClientError, TimeoutError):
            self._last_answer = 0
        self._refusals += self._last_answer != 200
        return self._last_answer == 200


def _body(events: Sequence[_Event]) -> bytes:
    """Return a body with one entry per page."""
    pages: defaultdict[str, list[_Event]] = defaultdict(list)
    for event in events:
        pages[event.page].append(event)
    entries = [
        {"id": page, "time": of_page[-1].time, "messaging": [event.fields for event in of_page]}
        for page, of_page in pages.items()
    ]
    return msgspec.json.encode({"object": "page", "entry": entries})
