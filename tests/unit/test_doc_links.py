"""What the documents and the code cite is there: files, and places in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    [*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md"), *(ROOT / "bench").glob("*.md")]
)
CODE = [p for top in ("prover", "contracts", "oracle") for p in sorted((ROOT / top).rglob("*.*"))]
LINK = re.compile(r"\]\(([^)\s]+)\)")
CITED = re.compile(r"docs/[\w/.-]+\.md#([\w-]+)")


def places(document: Path) -> set[str]:
    """Anchors that are set, and those that a heading has by its words."""
    text = document.read_text()
    headings = re.findall(r"^#+ (.*?)(?: *<a id=.*)?$", text, re.MULTILINE)
    words = {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}
    return set(re.findall(r'<a id="([\w-]+)"', text)) | words


def links(document: Path) -> Iterator[tuple[Path, str]]:
    """The file and the place of each link within the project."""
    for target in LINK.findall(document.read_text()):
        if "://" not in target and not target.startswith("mailto:"):
            path, _, place = target.partition("#")
            yield (document.parent / path).resolve() if path else document, place


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_link_of_a_document_leads_somewhere(document: Path) -> None:
    for path, place in links(document):
        assert path.exists(), path
        assert not place or place in places(path), f"{path.name}#{place}"


def test_every_place_that_code_cites_is_there() -> None:
    known = {str(d.relative_to(ROOT)): places(d) for d in DOCUMENTS}
    cited = 0
    for file in CODE:
        if file.suffix in (".py", ".sol"):
            for found in CITED.finditer(file.read_text()):
                document = found[0].partition("#")[0]
                assert found[1] in known.get(document, ()), f"{file}: {found[0]}"
                cited += 1
    assert cited > 20
