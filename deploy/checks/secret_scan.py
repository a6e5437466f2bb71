"""Scans the files of this repository for secrets with detect-secrets; the exit code is 1 for one that is not accepted.

`.secrets.baseline` lists the accepted findings (invented values) by file and hash. Review new findings, then accept
them with `python deploy/checks/secret_scan.py --accept`. Tokens of Redrive and of the platform are found by their
format.
"""

import json
import os
import re
import subprocess  # nosec B404 - starts git with fixed arguments
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from hashlib import sha1
from itertools import chain, starmap
from pathlib import Path
from typing import NamedTuple

from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
from detect_secrets.core.secrets_collection import SecretsCollection
from detect_secrets.settings import transient_settings

BASELINE = ".secrets.baseline"
_EXCLUDED = re.compile(  # package hashes, generated stubs, images, a script of another project
    r".*\.(lock|png|svg|ico|gz|min\.js)|clients/redrive/v1/.*|\.secrets\.baseline"
)
_EXCLUDED_FOLDERS = re.compile(r"\..*|__pycache__|build|node_modules|.*\.egg-info")  # only used without git
_BY_FORMAT = (
    *("AWSKeyDetector", "AzureStorageKeyDetector", "GitHubTokenDetector", "GitLabTokenDetector", "JwtTokenDetector"),
    *("NpmDetector", "OpenAIDetector", "PrivateKeyDetector", "PypiTokenDetector", "SendGridDetector", "SlackDetector"),
    *("StripeDetector", "TwilioKeyDetector"),
)
_BY_CONTEXT = ("BasicAuthDetector", "KeywordDetector", "Base64HighEntropyString", "HexHighEntropyString")
_TESTS = "tests/"  # has many invented passwords: only the detectors by format run there
_OWN_TOKENS = re.compile(r"\b(?:EAA[A-Za-z0-9]{60,}|rdt_[A-Za-z0-9_-]{40,})")
_PROCESSES = 2


class Finding(NamedTuple):
    """A possible secret: its place, kind and hash, but not the secret itself."""

    file: str
    line: int
    kind: str
    sha1: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.kind}"


def findings(folder: Path, files: Sequence[str]) -> list[Finding]:
    """Return the possible secrets in files of a folder, sorted."""
    shares = [files[start::_PROCESSES] for start in range(min(_PROCESSES, len(files)))]
    if len(files) <= 10:
        return sorted(_found(folder, files))
    with ProcessPoolExecutor(_PROCESSES) as pool:
        return sorted(chain.from_iterable(pool.map(_found, [folder] * len(shares), shares)))


def _found(folder: Path, files: Iterable[str]) -> list[Finding]:
    texts = {file: (folder / file).read_text(encoding="utf-8", errors="replace") for file in files}
    by_plugins: dict[tuple[str, ...], list[str]] = {}
    for file, text in texts.items():
        by_plugins.setdefault((*_plugins_for(file), *_matching_plugins(text)), []).append(file)
    found = [_scanned(folder, group, plugins) for plugins, group in by_plugins.items() if plugins]
    return [*chain.from_iterable(found), *chain.from_iterable(starmap(_own_tokens, texts.items()))]


def _plugins_for(file: str) -> Sequence[str]:
    return () if file.startswith(_TESTS) else _BY_CONTEXT


def _matching_plugins(text: str) -> Iterator[str]:
    """Yield the plugins whose pattern matches the text: running every plugin on every line takes four times as long."""
    plugins: Collection[type] = get_mapping_from_secret_type_to_class().values()
    for plugin in plugins:
        if plugin.__name__ in _BY_FORMAT and any(pattern.search(text) for pattern in getattr(plugin, "denylist", ())):
            yield plugin.__name__


def _scanned(folder: Path, files: Iterable[str], plugins: Iterable[str]) -> Iterator[Finding]:
    secrets = SecretsCollection(str(folder))
    with transient_settings({"plugins_used": [{"name": name} for name in plugins]}):
        for file in files:
            secrets.scan_file(file)
    yield from (Finding(name, secret.line_number, secret.type, secret.secret_hash) for name, secret in secrets)


def _own_tokens(file: str, text: str) -> Iterator[Finding]:
    for token in _OWN_TOKENS.finditer(text):
        hashed = sha1(token[0].encode(), usedforsecurity=False).hexdigest()
        yield Finding(file, text.count("\n", 0, token.start()) + 1, "Access token", hashed)


def files_of(folder: Path) -> list[str]:
    """Return the files to scan: those that git tracks or does not ignore, or all files without git."""
    command = ("git", "-C", str(folder), "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    ran = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - fixed arguments
    names = ran.stdout.split("\0") if ran.returncode == 0 else _walked(folder)
    return sorted({name for name in names if name and not _EXCLUDED.fullmatch(name) and (folder / name).is_file()})


def _walked(folder: Path) -> Iterator[str]:
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not _EXCLUDED_FOLDERS.fullmatch(name)]
        yield from (Path(parent, name).relative_to(folder).as_posix() for name in names)


def unaccepted(folder: Path, files: Sequence[str]) -> list[Finding]:
    """Return the findings that are not in the baseline."""
    baseline = folder / BASELINE
    known = json.loads(baseline.read_text(encoding="utf-8")) if baseline.exists() else {}
    return [finding for finding in findings(folder, files) if finding.sha1 not in known.get(finding.file, ())]


def accept(folder: Path, files: Sequence[str]) -> None:
    """Write all findings to the baseline."""
    accepted: dict[str, list[str]] = {}
    for finding in findings(folder, files):
        accepted.setdefault(finding.file, []).append(finding.sha1)
    lines = json.dumps({file: sorted(set(hashes)) for file, hashes in accepted.items()}, indent=2)
    (folder / BASELINE).write_text(f"{lines}\n", encoding="utf-8")


def main(arguments: Sequence[str]) -> int:
    """Scan the current folder, or accept its findings with --accept; return the exit code."""
    folder = Path.cwd()
    files = files_of(folder)
    if "--accept" in arguments:
        accept(folder, files)
        return 0
    found = unaccepted(folder, files)
    sys.stderr.writelines(f"{finding}: possible secret\n" for finding in found)
    if found:
        sys.stderr.write(
            "Remove it, and revoke it if it is valid. If it is an invented value: see deploy/checks/secret_scan.py\n"
        )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
