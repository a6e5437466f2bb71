"""Print the recorded events of a message, then new ones as they are recorded, until the message is done.

python examples/follow_events.py MESSAGE_ID
"""

import asyncio
import os
import sys

from redrive import Client

SERVER = os.environ.get("REDRIVE_SERVER", "127.0.0.1:50051")
TOKEN = os.environ.get("REDRIVE_TOKEN")  # only for a server with authentication


async def main(message_id: str) -> None:
    """Read the events again after each change of the progress, and print those after the last position."""
    position = 0
    async with Client(SERVER, token=TOKEN) as client:
        async for _ in client.watch_progress(message_id):
            async for event in client.list_events(message_id):
                if event.position > position:
                    position = event.position
                    print(f"{event.time.ToJsonString()} {event.name}: {event.summary}")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
