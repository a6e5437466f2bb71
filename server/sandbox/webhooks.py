"""What the sandbox tells a webhook of each message that it took: its echo, its delivery, and of some that it was read.

In the form and with the signature of the platform, which repeats what is not answered with 200.
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

MOST_AT_ONCE = 100  # events in one body; the platform brings up to 1,000
TIMEOUT_SECONDS = 20.0
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0  # seconds before a body is brought again; doubles


class WebhookTarget(msgspec.Struct, frozen=True, kw_only=True):
    """Where it tells, and how; its repr shows no secret."""

    url: str
    app_secret: str
    read_share: float = 0.0  # of the people, by a hash of id and seed

    def __repr__(self) -> str:
        return f"WebhookTarget({self.url!r})"


class WebhookStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How far the telling has come."""

    waiting: int  # events that were not answered with 200 yet
    told: int
    refusals: int  # bodies that were answered otherwise, or not at all
    last_answer: int  # HTTP status; 0 for none


class _Event(NamedTuple):
    page: str
    time: int
    fields: Mapping[str, Any]


class WebhookOutbox:
    """Events that wait, and the task that brings them, one body after another."""

    def __init__(self, target: WebhookTarget, seed: int) -> None:
        self._target = target
        self._seed = seed
        self._waiting: deque[_Event] = deque()
        self._telling: list[_Event] = []
        self._news = asyncio.Event()
        self._told = self._refusals = self._last_answer = 0

    @property
    def status(self) -> WebhookStatus:
        """How far it has come."""
        return WebhookStatus(
            waiting=len(self._waiting) + len(self._telling),
            told=self._told,
            refusals=self._refusals,
            last_answer=self._last_answer,
        )

    def clear(self) -> None:
        """Forgets what waits."""
        self._waiting.clear()
        self._telling = []

    def accepted(self, page: str, recipient: str, metadata: str, message_id: str) -> None:
        """A message was taken, whatever was answered."""
        now = int(time.time() * 1_000)
        of_page = {"sender": {"id": page}, "recipient": {"id": recipient}, "timestamp": now}
        of_person = {"sender": {"id": recipient}, "recipient": {"id": page}, "timestamp": now}
        echo = {"is_echo": True, "mid": message_id, **({"metadata": metadata} if metadata else {})}
        self._waiting.append(_Event(page, now, {**of_page, "message": echo}))
        self._waiting.append(_Event(page, now, {**of_person, "delivery": {"mids": [message_id], "watermark": now}}))
        if share_point(recipient, self._seed) < self._target.read_share:
            self._waiting.append(_Event(page, now, {**of_person, "read": {"watermark": now}}))
        self._news.set()

    async def run(self) -> None:
        """Tells until it is cancelled."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(TIMEOUT_SECONDS)) as session:
            while True:
                await self._news.wait()
                self._news.clear()
                while self._waiting:
                    await self._tell_some(session)

    async def _tell_some(self, session: aiohttp.ClientSession) -> None:
        self._telling = [self._waiting.popleft() for _ in range(min(MOST_AT_ONCE, len(self._waiting)))]
        body, pause = _body(self._telling), FIRST_PAUSE
        while self._telling and not await self._is_taken(session, body):
            await asyncio.sleep(pause)
            pause = min(LONGEST_PAUSE, 2 * pause)
        self._told += len(self._telling)
        self._telling = []

    async def _is_taken(self, session: aiohttp.ClientSession, body: bytes) -> bool:
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
    """One entry a page."""
    pages: defaultdict[str, list[_Event]] = defaultdict(list)
    for event in events:
        pages[event.page].append(event)
    entries = [
        {"id": page, "time": of_page[-1].time, "messaging": [event.fields for event in of_page]}
        for page, of_page in pages.items()
    ]
    return msgspec.json.encode({"object": "page", "entry": entries})
