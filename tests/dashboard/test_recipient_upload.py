"""Where the page sends a file of recipients."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest
from fastapi import FastAPI

from redrive.dashboard import recipient_upload
from redrive.dashboard.composition import Composition
from redrive.dashboard.compositions import Compositions
from redrive.dashboard.recipient_upload import ADDRESS, add_recipient_upload
from redrive.dashboard.sessions import Sessions
from redrive.dashboard.settings import DashboardSettings


@dataclass
class Desk:
    """A composition, and the way to give it files."""

    client: httpx.AsyncClient
    compositions: Compositions
    composition: Composition

    async def upload(self, content: bytes, composition_id: str = "") -> int:
        """The answer's status."""
        query = {"composition": composition_id or self.composition.id}
        return (await self.client.post(ADDRESS, params=query, content=content)).status_code

    @property
    def files(self) -> int:
        """Uploads that are kept."""
        return len(list(self.compositions.new_file().parent.iterdir()))


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    sessions, compositions, app = Sessions(DashboardSettings(server="127.0.0.1:1")), Compositions(), FastAPI()
    add_recipient_upload(app, sessions, compositions)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://dashboard") as client:
        yield Desk(client, compositions, compositions.begin(sessions.backend({})))
    compositions.close()
    await sessions.close()


async def test_a_file_is_read_and_the_one_before_is_gone(desk: Desk) -> None:
    assert await desk.upload(b"id\n1\n") == 204
    assert await desk.upload(b"id\n1\n2\n") == 204

    assert desk.composition.recipients is not None
    assert len(desk.composition.recipients) == 2
    assert desk.files == 1


async def test_a_file_with_problems_is_not_kept(desk: Desk) -> None:
    assert await desk.upload(b"id\n1\n") == 204
    assert await desk.upload(b"name\nAda\n") == 204

    assert desk.composition.recipients is None
    assert len(desk.composition.csv_problems) == 1
    assert desk.files == 0


async def test_a_file_that_is_too_big_is_refused(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipient_upload, "MOST_BYTES", 10)
    assert await desk.upload(b"id\n12345678\n") == 413
    assert (desk.composition.recipients, desk.files) == (None, 0)


async def test_many_files_at_once_do_not_fill_the_disk(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipient_upload, "MOST_BYTES_OF_ALL", 4)
    assert await desk.upload(b"id\n12\n") == 204
    assert await desk.upload(b"id\n34\n") == 507


async def test_only_a_known_composition_that_is_not_being_sent_takes_files(desk: Desk) -> None:
    assert await desk.upload(b"id\n1\n", "another") == 409
    desk.composition.is_being_sent = True
    assert await desk.upload(b"id\n1\n") == 409
    assert desk.files == 0
