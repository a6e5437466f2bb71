"""A file of recipients is checked, read, compared and sent in constant memory."""

import subprocess
import sys
from pathlib import Path

MEASURE = """
import asyncio
import sys
from io import BufferedReader
from pathlib import Path

from redrive.recipients_csv import RecipientsCsv
from redrive.calls.stream_parts import stream_parts
from redrive.v1.delivery_service_pb2 import SendRequest


def peak() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0])


async def use(source) -> int:
    recipients = RecipientsCsv(source)
    assert recipients.repeated_ids(10)[0] == 1
    assert recipients.lines_of({len(recipients) - 1})
    return sum([len(part.recipients.recipients) async for part in stream_parts(SendRequest(), recipients)])


small, large = map(Path, sys.argv[1:])
asyncio.run(use(small))
before = peak()
rows = asyncio.run(use(large))
with large.open("rb") as stream:  # as from standard input
    rows += asyncio.run(use(BufferedReader(stream.raw)))
print(rows, peak() - before)
"""


def people(file: Path, count: int) -> Path:
    with file.open("w") as out:
        out.write("id,name,city\n")
        out.writelines(f'{10**15 + number},"Ann {number}, of many",Hanoi\n' for number in range(count - 1))
        out.write(f"{10**15},Ann again,Hanoi\n")
    return file


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    small, large = people(tmp_path / "small.csv", 40_000), people(tmp_path / "large.csv", 120_000)

    command = [sys.executable, "-c", MEASURE, str(small), str(large)]
    measured = subprocess.run(command, check=True, capture_output=True, text=True).stdout

    rows, grown = map(int, measured.split())
    assert rows == 2 * 120_000
    assert grown < 3_000, f"{grown} KiB for a file of {large.stat().st_size / 1024:.0f} KiB"
