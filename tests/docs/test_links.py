"""Links from the docs to code lead to the lines they speak of."""

import runpy
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
links = runpy.run_path(str(DOCS / "links.py"))
PAGES = sorted(DOCS.rglob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(DOCS)))
def test_links_to_lines(page):
    assert links["wrong"](page) == [], "mend with: python docs/links.py --fix"


def test_one_multiplication_passes_under_ten_files():
    page = DOCS / "concepts" / "one-multiplication.md"
    files = {target for _, target, _ in links["LINK"].findall(page.read_text())}
    assert 5 <= len(files) < 10
    assert any(target.endswith(".rs") for target in files)


def test_a_wrong_link_is_found(tmp_path):
    (tmp_path / "code.py").write_text("a = 1\nb = 2\n")
    page = tmp_path / "page.md"
    page.write_text("see [`b = 2`](code.py#L1)")
    assert links["wrong"](page) == [("b = 2", "code.py", 1, 2)]
    links["fix"](page)
    assert links["wrong"](page) == []
