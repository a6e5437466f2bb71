"""Register a page and send a message to the recipients of a CSV file. Prints the message's id.

REDRIVE_PAGE_TOKEN=... python examples/send.py PAGE_ID recipients.csv "Hello {{name}}"
"""

import asyncio
import os
import sys
from pathlib import Path

from redrive import Client, InvalidRequest
from redrive.recipients_csv import BadCsv, RecipientsCsv
from redrive.send_any import send_any
from redrive.v1.content_pb2 import Content
from redrive.v1.delivery_service_pb2 import SendRequest
from redrive.v1.page_service_pb2 import PutPageRequest

SERVER = os.environ.get("REDRIVE_SERVER", "127.0.0.1:50051")
TOKEN = os.environ.get("REDRIVE_TOKEN")  # only for a server with authentication


async def main(page_id: str, file: str, text: str) -> None:
    """Send the text. A repeated run sends nothing: the request id is made of the file's name."""
    path = Path(file)
    recipients = await asyncio.to_thread(RecipientsCsv, path)
    request = SendRequest(request_id=f"example-{path.stem}", page_id=page_id, content=Content(text=text))
    async with Client(SERVER, token=TOKEN) as client:
        await client.put_page(PutPageRequest(page_id=page_id, access_token=os.environ["REDRIVE_PAGE_TOKEN"]))
        sent = await send_any(client, request, recipients)
    print(sent.message.id)


if __name__ == "__main__":
    try:
        asyncio.run(main(*sys.argv[1:]))
    except (BadCsv, InvalidRequest) as error:
        sys.exit(str(error))  # each problem with its line and column
