"""The pages of the documentation site, made from the repository: `make docs`.

Writes `.site/pages` (documents, references) and `.site/mkdocs.yml`. Changes the links between documents to the places
of their pages. A link to a file of the source becomes plain text, because the site does not hold the source.
"""

import os
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from docs.site import contract

ROOT = Path(__file__).parents[2]
_SITE = ROOT / ".site"
_NAMES = {"README.md": "index.md", "clients/README.md": "client.md", "examples/README.md": "examples.md"}
_AT_THE_TOP = ("CHANGELOG.md", "CODE_OF_CONDUCT.md", "CONTRIBUTING.md", "SECURITY.md")
_FIRST = ("architecture", "glossary", "protocol", "client", "examples", "dashboard", "access", "delivery-states")
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\((?!https?:|mailto:)([^)#\s]*)(#[^)\s]+)?\)")
_CLIENT = """\
# Python client

[How to use it](../client.md). All calls are methods of `Client`. Their arguments and results are messages of the
[contract](index.md).

::: redrive.Client

::: redrive.listing.Listing

::: redrive.recipients_csv.RecipientsCsv

::: redrive.send_any.send_any

## Errors

::: redrive.errors
    options:
      show_root_heading: false
      heading_level: 3
"""


def page_of(source: str) -> str | None:
    """Return the place in the site of a file of the repository; None if the site does not hold it."""
    if source in _AT_THE_TOP:
        return f"project/{source.lower()}"
    if source.startswith("docs/") and not source.startswith("docs/site/"):
        return source.removeprefix("docs/")
    return _NAMES.get(source)


def with_links_of_site(text: str, source: str) -> str:
    """Return a document with its links changed to the places of the pages.

    Raises FileNotFoundError for a link to a file that does not exist.
    """

    def changed(link: re.Match[str]) -> str:
        image, words, target, anchor = link.groups(default="")
        if not target:
            return link[0]
        path = os.path.normpath(PurePosixPath(source).parent / target)
        if not (ROOT / path).exists():
            raise FileNotFoundError(f"{source} links to {target}, which does not exist")
        page = page_of(path)
        if page is None or (ROOT / path).is_dir():
            return words
        return f"{image}[{words}]({os.path.relpath(page, PurePosixPath(page_of(source) or '').parent)}{anchor})"

    return _LINK.sub(changed, text)


def write_documents(pages: Path) -> list[str]:
    """Copy the documents and their images into a folder; return the pages."""
    names = [path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "docs").rglob("*")) if path.is_file()]
    written = []
    for source in (*_NAMES, *_AT_THE_TOP, *names):
        place = page_of(source)
        if place is None or not (ROOT / source).is_file():
            continue
        (pages / place).parent.mkdir(parents=True, exist_ok=True)
        if source.endswith(".md"):
            text = (ROOT / source).read_text(encoding="utf-8")
            (pages / place).write_text(with_links_of_site(text, source), encoding="utf-8")
            written.append(place)
        else:
            shutil.copyfile(ROOT / source, pages / place)
    return written


def write_references(pages: Path) -> list[str]:
    """Write the reference of the contract and of the Python client into a folder; return the pages."""
    texts = {"reference/python.md": _CLIENT}
    texts |= {f"reference/{name}": text for name, text in contract.pages(contract.descriptors(ROOT)).items()}
    (pages / "reference").mkdir(parents=True)
    for place, text in texts.items():
        (pages / place).write_text(text, encoding="utf-8")
    return list(texts)


def navigation(documents: Sequence[str], references: Sequence[str]) -> Mapping[str, Iterable[str]]:
    """Return the sections of the site with their pages; a new document is at the end of its section."""
    guide = [page for page in documents if "/" not in page and page != "index.md"]
    order = {f"{name}.md": place for place, name in enumerate(_FIRST)}
    return {
        "Guide": ["index.md", *sorted(guide, key=lambda page: (order.get(page, len(order)), page))],
        "Reference": sorted(references, key=lambda page: (page != "reference/index.md", page)),
        "Decisions": [page for page in documents if page.startswith("decisions/")],
        "Project": [page for page in documents if page.startswith("project/")],
    }


def main() -> None:
    """Write the pages and the settings with the navigation."""
    shutil.rmtree(_SITE, ignore_errors=True)
    pages = _SITE / "pages"
    sections = navigation(write_documents(pages), write_references(pages))
    lines = [(ROOT / "docs/site/mkdocs.yml").read_text(encoding="utf-8").rstrip(), "nav:"]
    for title, places in sections.items():
        lines += [f"  - {title}:", *(f"      - {place}" for place in places)]
    (_SITE / "mkdocs.yml").write_text("\n".join([*lines, ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
