"""The upload of a file of recipients."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest
from fastapi import FastAPI

from redrive.dashboard import uploads
from redrive.dashboard.settings import DashboardSettings
from redrive.dashboard.state.composition import Composition
from redrive.dashboard.state.compositions import Compositions
from redrive.dashboard.state.sessions import Sessions
from redrive.dashboard.uploads import UPLOAD_PATH, add_recipient_upload


@dataclass
class Uploader:
    """A composition, and uploads to it."""

    client: httpx.AsyncClient
    compositions: Compositions
    composition: Composition

    async def upload(self, content: bytes, composition_id: str = "") -> int:
        """Upload a file; return the status of the response."""
        query = {"composition": composition_id or self.composition.id}
        return (await self.client.post(UPLOAD_PATH, params=query, content=content)).status_code

    @property
    def files(self) -> int:
        """The number of stored uploads."""
        return len(list(self.compositions.new_file().parent.iterdir()))


@pytest.fixture
async def uploader() -> AsyncIterator[Uploader]:
    sessions, compositions, app = Sessions(DashboardSettings(server="127.0.0.1:1")), Compositions(), FastAPI()
    add_recipient_upload(app, sessions, compositions)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://dashboard") as client:
        yield Uploader(client, compositions, compositions.create(sessions.backend({})))
    compositions.close()
    await sessions.close()


async def test_upload_replaces_the_previous_file(uploader: Uploader) -> None:
    assert await uploader.upload(b"id\n1\n") == 204
    assert await uploader.upload(b"id\n1\n2\n") == 204

    assert uploader.composition.recipients is not None
    assert len(uploader.composition.recipients) == 2
    assert uploader.files == 1


async def test_a_file_with_problems_is_not_kept(uploader: Uploader) -> None:
    assert await uploader.upload(b"id\n1\n") == 204
    assert await uploader.upload(b"name\nAda\n") == 204

    assert uploader.composition.recipients is None
    assert len(uploader.composition.csv_problems) == 1
    assert uploader.files == 0


async def test_a_file_that_is_too_big_is_refused(uploader: Uploader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MAX_UPLOAD_BYTES", 10)
    assert await uploader.upload(b"id\n12345678\n") == 413
    assert (uploader.composition.recipients, uploader.files) == (None, 0)


async def test_many_files_at_once_do_not_fill_the_disk(uploader: Uploader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MAX_TOTAL_BYTES", 4)
    assert await uploader.upload(b"id\n12\n") == 204
    assert await uploader.upload(b"id\n34\n") == 507


async def test_upload_requires_a_known_composition_that_is_not_being_sent(uploader: Uploader) -> None:
    assert await uploader.upload(b"id\n1\n", "another") == 409
    uploader.composition.is_being_sent = True
    assert await uploader.upload(b"id\n1\n") == 409
    assert uploader.files == 0
