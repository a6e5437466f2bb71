"""Checks of all files in the repository."""

import re
import subprocess
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]

# Assembled from parts, so that this file does not contain the forbidden names.
REGISTRY_HOSTS = [f"{name}.{end}" for name, end in (("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"))]
MACHINE_PATHS = [f"/{folder}/" for folder in ("home", "root", "work", "Users")]
FORBIDDEN = re.compile(rf"{'|'.join(map(re.escape, REGISTRY_HOSTS))}|(?<![\w.])({'|'.join(MACHINE_PATHS)})")


def repository_files() -> list[Path]:
    """Return all files that git tracks or would add."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    paths = (ROOT / name for name in listing.stdout.split("\0") if name)
    return [path for path in paths if path.is_file()]


def test_no_file_names_a_registry_or_a_machines_path() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {match.group()}"
        for path in repository_files()
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1)
        if (match := FORBIDDEN.search(line))
    ]

    assert not found


def test_the_lock_meets_the_requirements_of_both_distributions() -> None:
    locked = dict(re.findall(r"^([\w.-]+)==([^\s;]+)", (ROOT / "requirements.lock").read_text(), flags=re.MULTILINE))
    server = tomllib.loads((ROOT / "pyproject.toml").read_text())
    client = tomllib.loads((ROOT / "clients" / "pyproject.toml").read_text())
    lines = server["project"]["dependencies"] + server["dependency-groups"]["dev"] + client["project"]["dependencies"]

    unmet = [line for line in lines if not line.startswith("redrive==") and not is_met(Requirement(line), locked)]

    assert not unmet


def is_met(asked: Requirement, locked: dict[str, str]) -> bool:
    version = locked.get(canonicalize_name(asked.name))
    return version is not None and asked.specifier.contains(version, prereleases=True)


def test_both_distributions_carry_the_licence() -> None:
    folders = (ROOT, ROOT / "clients")
    projects = [tomllib.loads((folder / "pyproject.toml").read_text())["project"] for folder in folders]

    assert [(project["license"], project["license-files"]) for project in projects] == [("Apache-2.0", ["LICENSE"])] * 2
    assert "Apache License" in (ROOT / "LICENSE").read_text()
    assert (ROOT / "clients/LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
