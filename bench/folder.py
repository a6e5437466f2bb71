"""Temporary folder on the disk for one benchmark."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ON_DISK = "/var/tmp"  # noqa: S108 - on a disk by convention; on a RAM disk fsync costs nothing


@contextmanager
def temporary_folder(parent: str) -> Iterator[Path]:
    """Yield an empty folder, and remove it at the end."""
    with tempfile.TemporaryDirectory(prefix="redrive-bench-", dir=parent) as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL runs as another user when this process runs as root
        yield folder
