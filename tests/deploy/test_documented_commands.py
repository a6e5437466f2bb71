"""Commands of docs/deploying.md keep backups private, and base images are pinned by digest."""

import re
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(r"```\n(.*?)```", (ROOT / "docs/deploying.md").read_text(), flags=re.DOTALL)
BACK_UPS = [block for block in BLOCKS if re.search(r"pg_dump|pg_basebackup|\.backup\(|redrive\.db\.key", block)]
PG_DUMP = """#!/bin/sh
for word in "$@"; do case "$word" in --file=*) echo dump > "${word#--file=}";; esac; done
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a database, its key, and a fake pg_dump."""
    with closing(sqlite3.connect(tmp_path / "redrive.db")) as database:
        database.execute("CREATE TABLE kept (it TEXT)")
    (tmp_path / "redrive.db.key").write_text("key")
    (tmp_path / "redrive.db.key").chmod(0o600)
    (tmp_path / "pg_dump").write_text(PG_DUMP)
    (tmp_path / "pg_dump").chmod(0o700)
    return tmp_path


def test_every_kind_of_backup_is_documented() -> None:
    assert len(BACK_UPS) == 2


@pytest.mark.parametrize("block", BACK_UPS)
def test_a_documented_backup_is_readable_by_its_owner_only(folder: Path, block: str) -> None:
    before = {path.name for path in folder.iterdir()}
    path = f"{folder}:{Path(sys.executable).parent}:/usr/bin:/bin"

    subprocess.run(["sh", "-euc", f"umask 022\n{block}"], cwd=folder, check=True, env={"PATH": path})

    made = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir() if path.name not in before}
    assert made
    assert set(made.values()) == {0o600}


def test_no_deployed_file_makes_a_backup_without_a_umask() -> None:
    for path in (*(ROOT / "deploy").rglob("*.y*ml"), ROOT / "deploy/Containerfile", *(ROOT / "docs").glob("*.md")):
        for line in path.read_text().splitlines():
            if re.match(r"\s*(pg_dump|pg_dumpall|pg_basebackup|sqlite3 .*\.backup)\b", line):
                assert "umask 077" in path.read_text(), f"{path}: {line}"


def test_base_images_are_pinned_by_digest() -> None:
    """Images built here have the release's own name; external images have a digest."""
    containerfile = (ROOT / "deploy/Containerfile").read_text()
    bases = re.findall(r"^FROM (\S+)", containerfile, flags=re.MULTILINE)
    defaults = re.findall(r"^ARG PYTHON_IMAGE=(\S+)", containerfile, flags=re.MULTILINE)
    deployed = [
        image
        for path in (ROOT / "deploy").rglob("*.y*ml")
        for image in re.findall(r"^\s*image: (?:&\w+ )?([^\s*]\S*)", path.read_text(), flags=re.MULTILINE)
        if not image.startswith("redrive:")
    ]

    assert set(bases) == {"${PYTHON_IMAGE}"}
    assert len(defaults) == 1
    assert deployed
    for image in (*defaults, *deployed):
        assert re.fullmatch(r"docker\.io/library/[a-z]+:[\w.-]+@sha256:[0-9a-f]{64}", image), image
