"""Violations that the server finds are shown by line and column of the file."""

from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo

import redrive as client_package
from redrive.client import Client
from redrive.recipients_csv import RecipientsCsv
from redrive.send_any import send_any
from redrive.v1.content_pb2 import Content, Recipient
from redrive.v1.delivery_service_pb2 import SendRequest

if TYPE_CHECKING:
    from tests.clients.conftest import Redrive, ScriptedServer

TOO_LONG = "makes a text of 2,100 characters; at most 2,000 are allowed"
REASON = ErrorInfo(reason="INVALID_REQUEST", domain="redrive")


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """Return a file with recipients 0 to 3 in lines 2, 5, 7 and 8."""
    file = tmp_path / "people.csv"
    file.write_text('recipient_id,name,city\n17,Ada,"two\nlines"\n,,\n18,Bo,Rome\n\n19,Cy,Oslo\n20,Di,Bonn\n')
    return file


def violating(*fields: str, words: str = "is wrong") -> BadRequest:
    return BadRequest(field_violations=[{"field": field, "description": words} for field in fields])


async def refused(server: "ScriptedServer", client: Client, people: Path, text: str, details: BadRequest) -> list[str]:
    message = "; ".join(f"{violation.field}: {violation.description}" for violation in details.field_violations)
    server.refuse("Send", grpc.StatusCode.INVALID_ARGUMENT, REASON, details, message=message)
    header = SendRequest(page_id="1", content=Content(text=text))
    with pytest.raises(client_package.InvalidRequest) as raised:
        await send_any(client, header, RecipientsCsv(people))
    assert raised.value.reason == "INVALID_REQUEST"
    assert "recipients[" not in raised.value.message
    return [violation.field for violation in raised.value.violations]


async def test_fields_become_lines_and_columns(server: "ScriptedServer", client: Client, people: Path) -> None:
    paths = ["recipients[0].id", "recipients[1].name", 'recipients[2].variables["city"]', "recipients[3]", "title"]

    assert await refused(server, client, people, "Hi", violating(*paths)) == [
        "line 2, column recipient_id",
        "line 5, column name",
        "line 7, column city",
        "line 8",
        "title",
    ]


@pytest.mark.parametrize(
    ("text", "words", "place"),
    [
        ("Hi {{name}} of {{ city|our town }}", TOO_LONG, "line 5, columns name, city"),
        ("Hi {{city}}", TOO_LONG, "line 5, column city"),
        ("Hi {{city}} {{name}}", "lacks {{city}}, which the text asks for", "line 5, column city"),
        ("Hi", TOO_LONG, "line 5"),
    ],
)
async def test_text_violations_name_the_columns_of_the_variables(
    server: "ScriptedServer", client: Client, people: Path, text: str, words: str, place: str
) -> None:
    assert await refused(server, client, people, text, violating("recipients[1].variables", words=words)) == [place]


async def test_command_shows_line_and_column(server: "ScriptedServer", redrive: "Redrive", people: Path) -> None:
    message = f"recipients[1].variables: {TOO_LONG} (and 3 more that are not listed)"
    details = violating("recipients[1].variables", words=TOO_LONG)
    server.refuse("Send", grpc.StatusCode.INVALID_ARGUMENT, REASON, details, message=message)

    result = await redrive("send", "--page", "1", "--text", "Hi {{name}}", "--csv", str(people))

    assert result.exit_code == 2
    assert f"line 5, column name: {TOO_LONG}" in result.stderr
    assert "(and 3 more that are not listed)" in result.stderr


async def test_violations_without_a_file_keep_their_fields(server: "ScriptedServer", client: Client) -> None:
    server.refuse("Send", grpc.StatusCode.INVALID_ARGUMENT, REASON, violating("recipients[1].id"))

    with pytest.raises(client_package.InvalidRequest) as raised:
        await send_any(client, SendRequest(page_id="1"), [Recipient(id="1"), Recipient(id="2")])
    assert raised.value.violations == [("recipients[1].id", "is wrong")]
