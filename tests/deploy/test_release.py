"""`make release` writes the version everywhere and reports what is left; a contract that breaks callers is refused."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deploy import release

ROOT = Path(__file__).parents[2]
BUF = Path(sys.executable).with_name("buf")
COPIED = (
    "pyproject.toml",
    "clients/pyproject.toml",
    "deploy",
    "docs/deploying.md",
    "protos",
    "buf.yaml",
    "CHANGELOG.md",
)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A repository with the files that a release reads and writes, with a section of the changelog and no problems."""
    for name in COPIED:
        target = tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile
        copy(ROOT / name, target)
    with (tmp_path / "CHANGELOG.md").open("a") as changelog:
        changelog.write(f"\n## [{release.version(ROOT)}] - 2026-12-01\n")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "-c", "user.name=n", "-c", "user.email=e", "commit", "--quiet", "-m", "all")
    return tmp_path


def git(folder: Path, *words: str) -> None:
    subprocess.run(["git", "-C", str(folder), *words], check=True, capture_output=True)


def breaking(folder: Path) -> subprocess.CompletedProcess[str]:
    [baseline] = folder.glob("protos/released/*")
    command = [str(BUF), "breaking", "--against", str(baseline.relative_to(folder))]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_every_place_names_the_same_version() -> None:
    named = {path.relative_to(ROOT).as_posix(): number for path, number in release.places(ROOT)}

    assert set(named.values()) == {release.version(ROOT)}
    assert len(named) >= 6
    assert [path.stem for path in (ROOT / "protos/released").iterdir()] == [release.version(ROOT)]


def test_a_tree_that_is_ready_has_no_problems(tree: Path) -> None:
    assert list(release.problems(tree)) == []


def test_a_new_version_is_written_everywhere_and_the_rest_is_reported(tree: Path) -> None:
    release.write_version(tree, "1.12.3")

    assert {number for _, number in release.places(tree)} == {"1.12.3"}
    assert list(release.problems(tree)) == [
        "CHANGELOG.md has no section [1.12.3]",
        f"protos/released holds {release.version(ROOT)}.yaml instead of 1.12.3.yaml",
        "The working tree has uncommitted changes",
    ]


def test_a_place_with_another_version_is_reported(tree: Path) -> None:
    compose = tree / "deploy/compose.yaml"
    compose.write_text(compose.read_text().replace(f"redrive:{release.version(ROOT)}", "redrive:0.0.9"))

    assert f"deploy/compose.yaml names version 0.0.9, pyproject.toml {release.version(ROOT)}" in release.problems(tree)


def test_a_version_of_another_form_is_refused(tree: Path) -> None:
    with pytest.raises(ValueError, match="v2 is not a version"):
        release.write_version(tree, "v2")


def test_the_contract_breaks_no_caller_of_the_last_release() -> None:
    result = breaking(ROOT)

    assert result.returncode == 0, result.stdout + result.stderr


def test_a_removed_field_breaks_the_contract_of_the_last_release(tree: Path) -> None:
    protos = tree / "protos/redrive/v1/batch.proto"
    protos.write_text(protos.read_text().replace("  string worker = 5;\n", ""))

    result = breaking(tree)

    assert result.returncode != 0
    assert 'Previously present field "5" with name "worker" on message "Batch" was deleted' in result.stdout
    assert f"protos/released/{release.version(ROOT)}.yaml differs from protos/" in release.problems(tree)


def test_make_check_compares_the_contract_with_the_last_release() -> None:
    assert "buf breaking --against $(wildcard protos/released/*)\n" in (ROOT / "Makefile").read_text()
