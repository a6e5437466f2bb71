"""Show a message's failures by type, then resend to the recipients whose last error is of one type.

python examples/resend_by_type.py MESSAGE_ID NETWORK
"""

import asyncio
import os
import sys

from redrive import Client
from redrive.v1.error_pb2 import ErrorType
from redrive.v1.resend_pb2 import ResendRequest, SkipReason

SERVER = os.environ.get("REDRIVE_SERVER", "127.0.0.1:50051")
TOKEN = os.environ.get("REDRIVE_TOKEN")  # only for a server with authentication


async def main(message_id: str, type_name: str) -> None:
    """Preview the resend with a dry run, then start it for the same recipients."""
    async with Client(SERVER, token=TOKEN) as client:
        failures = await client.list_failed(message_id).page()
        for count in failures.error_type_counts:
            print(f"{ErrorType.Name(count.error_type)}: {count.count}")

        request = ResendRequest(
            message_id=message_id,
            error_types=[ErrorType.Value(f"ERROR_TYPE_{type_name}")],
            as_of_sequence=failures.sequence,  # skips recipients that changed since the list
            reason=f"Example: resend {type_name}",
        )
        preview = ResendRequest()
        preview.CopyFrom(request)
        preview.validate_only = True
        planned = await client.resend(preview)
        print(f"A resend takes {planned.recipients_to_retry} recipients")
        for skipped in planned.skipped:
            print(f"- skips {skipped.count}: {SkipReason.Name(skipped.reason)}")

        started = await client.resend(request)
        print(f"Resending to {started.recipients_to_retry} recipients")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
