"""Show the progress of a message until every delivery has an outcome.

python examples/watch.py MESSAGE_ID
"""

import asyncio
import os
import sys

from redrive import Client
from redrive.v1.message_pb2 import MessageStatus

SERVER = os.environ.get("REDRIVE_SERVER", "127.0.0.1:50051")
TOKEN = os.environ.get("REDRIVE_TOKEN")  # only for a server with authentication


async def main(message_id: str) -> None:
    """Print a line for each answer. The watch continues after a lost connection or a restart of the server."""
    async with Client(SERVER, token=TOKEN) as client:
        async for answer in client.watch_progress(message_id, wait_for_retries=True):
            counts = answer.progress.counts
            status = MessageStatus.Name(answer.progress.status).removeprefix("MESSAGE_STATUS_")
            print(f"{status}: {counts.sent} of {counts.total} sent, {counts.failed} failed", flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
