"""The command `redrive erase`."""

from typing import TYPE_CHECKING

import pytest

from redrive.v1.maintenance_service_pb2 import ErasePersonRequest, ErasePersonResponse

if TYPE_CHECKING:
    from tests.clients.conftest import Redrive, ScriptedServer


@pytest.mark.parametrize(
    ("messages", "words"),
    [(3, "Erased from 3 messages.\n"), (1, "Erased from 1 message.\n"), (0, "Nothing to erase.\n")],
)
async def test_erase_shows_the_number_of_messages(
    server: "ScriptedServer", redrive: "Redrive", messages: int, words: str
) -> None:
    server.answer("ErasePerson", ErasePersonResponse(messages_affected=messages))

    result = await redrive("erase", "ann", "--yes")

    asked: ErasePersonRequest = server.asked("ErasePerson")[0]
    assert (asked.recipient_id, bool(asked.request_id)) == ("ann", True)
    assert (result.exit_code, result.stdout) == (0, words)


async def test_erase_asks_for_confirmation(server: "ScriptedServer", redrive: "Redrive") -> None:
    server.answer("ErasePerson", ErasePersonResponse(messages_affected=1))

    declined = await redrive("erase", "ann", input="n\n")
    agreed = await redrive("erase", "ann", input="y\n")

    assert "Erase ann? This cannot be undone." in declined.output
    assert (declined.exit_code, agreed.exit_code) == (1, 0)
    assert len(server.asked("ErasePerson")) == 1
