"""The check of words finds each excluded word at its line, in every kind of text."""

import subprocess
import sys
from pathlib import Path

import pytest

from deploy.checks import plain_words

CHECK = Path(plain_words.__file__)


def check(folder: Path, *options: str) -> tuple[int, str]:
    subprocess.run(["git", "-C", str(folder), "init", "--quiet"], check=True)
    ran = subprocess.run([sys.executable, CHECK, *options], cwd=folder, capture_output=True, text=True, check=False)
    return ran.returncode, ran.stdout + ran.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("# Whoever waits is told", [(1, "whoever"), (1, "told")]),
        ("fine\n// what became of it", [(2, "became of")]),
        ("# what became\n# of it", [(1, "became of")]),
        ("'It runs to  its end.'", [(1, "to its end")]),
        ("a stand-in for the platform", []),
        ("def test_nobody_waits(): teller(understood)", []),
    ],
)
def test_whole_words_are_found_at_their_line(text: str, words: list[tuple[int, str]]) -> None:
    assert list(plain_words.words_in(text)) == words


def test_parts_of_names_are_found_when_asked_for() -> None:
    text = "def test_nobody_runs_to_its_end(): stand_in(understood, teller)"

    assert [word for _, word in plain_words.words_in(text, names=True)] == ["nobody", "to its end"]


def test_a_file_with_an_excluded_word_fails_the_check(tmp_path: Path) -> None:
    for name in ("a.py", "b.proto", "c.md", "Makefile", "unread.lock"):
        (tmp_path / name).write_text("fine\n# whatever\n")

    code, said = check(tmp_path)

    assert code == 1
    assert [line.partition(":")[0] for line in said.splitlines()[:-1]] == ["Makefile", "a.py", "b.proto", "c.md"]
    assert "a.py:2: whatever\n" in said


def test_a_plain_tree_passes(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("# Return the next batch.\n")

    assert check(tmp_path) == (0, "")


def test_the_report_counts_by_folder_and_by_word(tmp_path: Path) -> None:
    (tmp_path / "server/api").mkdir(parents=True)
    (tmp_path / "server/api/a.py").write_text("# told and told, anew\n")

    code, said = check(tmp_path, "--report")

    assert code == 0
    assert said.splitlines() == [
        *("By folder:", "     3 server/api", "By word:", "     2 told", "     1 anew"),
        "3 in 1 files",
    ]
