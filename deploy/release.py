"""The steps of a release, and the checks that a release needs: `make release`, `make release VERSION=0.2.0`.

`pyproject.toml` is the source of the version. `_PLACES` lists all places that name it; a test compares them.
"""

import re
import subprocess  # nosec B404 - starts git and buf with fixed arguments
import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

_NUMBER = r"\d+\.\d+\.\d+"
_PLACES = {  # glob -> what precedes the version there
    "pyproject.toml": r'^version = "|"redrive==',
    "clients/pyproject.toml": r'^version = "',
    "deploy/*.yaml": r"image: (?:&\w+ )?redrive:",
    "deploy/kubernetes/*.yaml": r"image: (?:&\w+ )?redrive:",
    "docs/deploying.md": r"\bredrive:",
}
_STEPS = """\
1. make check                    compares the contract with the last release
2. make release VERSION={next}   writes the new version into every place that names it
3. Move the entries of "Unreleased" in CHANGELOG.md to a new section "## [{next}] - YYYY-MM-DD"
4. git rm --quiet protos/released/*.yaml
   .venv/bin/buf build --exclude-source-info -o protos/released/{next}.yaml && git add protos/released
5. make check test
6. git commit -am "Release {next}" && git tag v{next}
7. make release                  must report 0 problems
8. Build and push the image: docs/deploying.md, "The image"
9. Build and publish the packages: uv build && uv build clients
"""


def version(root: Path) -> str:
    """Return the version in pyproject.toml."""
    found: str = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    return found


def places(root: Path) -> Iterator[tuple[Path, str]]:
    """Yield each file that names the version, once for each occurrence, with the version that it names."""
    for path, pattern in _patterns(root):
        for found in pattern.finditer(path.read_text(encoding="utf-8")):
            yield path, found["version"]


def write_version(root: Path, number: str) -> None:
    """Write a version into every place that names one. Raises ValueError unless it has the form 1.2.3."""
    if not re.fullmatch(_NUMBER, number):
        raise ValueError(f"{number} is not a version of the form 1.2.3")
    for path, pattern in _patterns(root):
        text = path.read_text(encoding="utf-8")
        path.write_text(pattern.sub(rf"\g<before>{number}", text), encoding="utf-8")


def _patterns(root: Path) -> Iterator[tuple[Path, re.Pattern[str]]]:
    for glob, before in _PLACES.items():
        pattern = re.compile(rf"(?P<before>{before})(?P<version>{_NUMBER})", re.MULTILINE)
        yield from ((path, pattern) for path in sorted(root.glob(glob)))


def problems(root: Path) -> Iterator[str]:
    """Yield what prevents a release of the version in pyproject.toml, one line each."""
    number = version(root)
    for path, named in places(root):
        if named != number:
            yield f"{path.relative_to(root)} names version {named}, pyproject.toml {number}"
    if not re.search(
        rf"^## \[{re.escape(number)}\]", (root / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE
    ):
        yield f"CHANGELOG.md has no section [{number}]"
    baselines = [path.name for path in sorted(root.glob("protos/released/*"))]
    if baselines != [f"{number}.yaml"]:
        yield f"protos/released holds {', '.join(baselines) or 'nothing'} instead of {number}.yaml"
    elif _contract(root, root / "protos") != _contract(root, root / "protos/released" / baselines[0]):
        yield f"protos/released/{number}.yaml differs from protos/"
    if _output(root, "git", "status", "--porcelain"):
        yield "The working tree has uncommitted changes"


def _contract(root: Path, source: Path) -> str:
    """Return a contract as an image without comments, as text."""
    buf = str(Path(sys.executable).with_name("buf"))
    return _output(root, buf, "build", "--exclude-source-info", str(source), "-o", "-#format=json")


def _output(root: Path, *command: str) -> str:
    ran = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)  # noqa: S603 - fixed programs
    return ran.stdout


def next_minor(number: str) -> str:
    """Return the next minor version: 0.2.0 after 0.1.3."""
    major, minor, _ = number.split(".")
    return f"{major}.{int(minor) + 1}.0"


def main(arguments: Sequence[str]) -> int:
    """Write the version that is given, then print the steps and the problems; return 1 if there are problems."""
    root = Path(__file__).parents[1]
    for number in arguments:
        write_version(root, number)
    current = version(root)
    sys.stdout.write(_STEPS.format(next=arguments[0] if arguments else next_minor(current)))
    found = list(problems(root))
    sys.stdout.write(f"\nVersion {current}: {len(found)} problems\n")
    sys.stdout.writelines(f"- {problem}\n" for problem in found)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
