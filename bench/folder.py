"""A folder for what one call of the bench keeps on the disk."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ON_DISK = "/var/tmp"  # noqa: S108 - survives a restart by convention, so it is no memory, where fsync costs nothing


@contextmanager
def fresh_folder(parent: str) -> Iterator[Path]:
    """An empty folder that is removed at the end."""
    with tempfile.TemporaryDirectory(prefix="redrive-bench-", dir=parent) as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL runs as another user when this one is root
        yield folder
