"""Looks for words that the house style excludes; exit code 1 if a file holds one.

The words are vague ("whatever") or have a plain substitute ("anew": again). Every line of source, protos and documents
is read: comments, docstrings, texts and names. `--names` also finds the words as parts of names (`test_nobody_waits`).
`--report` counts by folder and by word instead.
"""

import re
import subprocess  # nosec B404 - starts git with fixed arguments
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

_WORDS = (  # a space matches any white space, and the sign of a comment that continues in the next line
    *("afresh", "anew", "anybody", "befalls?", "befell", "everybody", "heed(?:s|ed|ing)?", "hindrances?", "lest"),
    *("meanwhile", "nobody", "somebody", "standings?", "stands?", "stood", "tells?", "telling", "thereof", "told"),
    *("touched", "whatever", "whence", "whoever", "whomever"),
    *("be(?:came|comes?) of", "for good", "hears? of", "heard of", "keeps? house", "now and then", "of no use"),
    *("of use", "sees? to it", "to its end", "to their end", "work(?:s|ed|ing)? off"),
)
_PHRASES = "|".join(_WORDS)
_WHOLE = re.compile(rf"\b(?:{_PHRASES})\b(?!-in\b)".replace(" ", r"\s+(?:(?:#|//)\s*)?"), re.IGNORECASE)
_PART = re.compile(rf"(?<![a-z])(?:{_PHRASES})(?![a-z]|[-_]in\b)".replace(" ", r"[\s_]+"), re.IGNORECASE)
_READ = re.compile(r".*\.(?:css|html|in|js|md|proto|py|sh|toml|ya?ml)|(?:.*/)?(?:Containerfile|Makefile|run)")
_NOT_READ = re.compile(r"clients/redrive/v1/.*|.*\.min\.js|protos/released/.*")  # generated, or another project's
_ALLOWED: dict[tuple[str, str], str] = {  # (file, word) -> reason; "*" allows all words of the file
    ("deploy/checks/plain_words.py", "*"): "lists the words",
    ("tests/deploy/test_plain_words.py", "*"): "plants the words",
    ("docs/performance.md", "nobody"): "names a results file",
    ("server/sandbox/webhooks.py", "told"): "a field of the sandbox's JSON",
    ("tests/e2e/test_receipts_from_webhooks.py", "told"): "a field of the sandbox's JSON",
    ("tests/server/sandbox/test_sandbox_webhooks.py", "told"): "a field of the sandbox's JSON",
    ("tests/faults/fleet.py", "tell"): "a method of Python's files",
}


class Finding(NamedTuple):
    """A word that the house style excludes."""

    file: str
    line: int
    word: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.word}"


def words_in(text: str, *, names: bool = False) -> Iterator[tuple[int, str]]:
    """Yield each excluded word of a text with its line; with `names` also those that are parts of names."""
    for found in (_PART if names else _WHOLE).finditer(text):
        yield text.count("\n", 0, found.start()) + 1, re.sub(r"[\W_]+", " ", found[0]).lower()


def findings(folder: Path, files: Iterable[str], *, names: bool = False) -> Iterator[Finding]:
    """Yield the excluded words in files of a folder, without those that are allowed there."""
    for file in files:
        for line, word in words_in((folder / file).read_text(encoding="utf-8"), names=names):
            if not {(file, word), (file, "*")} & _ALLOWED.keys():
                yield Finding(file, line, word)


def files_of(folder: Path) -> list[str]:
    """Return the files to read: those that git tracks or would add."""
    command = ("git", "-C", str(folder), "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603 - fixed program
    files = (name for name in listing.split("\0") if _READ.fullmatch(name) and not _NOT_READ.fullmatch(name))
    return sorted(name for name in files if (folder / name).is_file())


def report(found: Sequence[Finding]) -> Iterator[str]:
    """Yield the number of findings by folder (at most two levels) and by word, largest first."""
    folders = Counter("/".join(finding.file.split("/")[:-1][:2]) or "." for finding in found)
    words = Counter(finding.word for finding in found)
    for title, counts in (("folder", folders), ("word", words)):
        yield f"By {title}:\n"
        yield from (f"{number:6} {name}\n" for name, number in counts.most_common())
    yield f"{len(found)} in {len({finding.file for finding in found})} files\n"


def main(arguments: Sequence[str]) -> int:
    """Check the folder that the program runs in; return the exit code."""
    folder = Path.cwd()
    found = list(findings(folder, files_of(folder), names="--names" in arguments))
    if "--report" in arguments:
        sys.stdout.writelines(report(found))
        return 0
    sys.stderr.writelines(f"{finding}\n" for finding in found)
    if found:
        sys.stderr.write(f"{len(found)} words that the house style excludes: see deploy/checks/plain_words.py\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
