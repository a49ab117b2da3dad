"""Links from the docs to lines of code: [`name`](../../path/file.py#L12) must lead to a line that has `name`.

python docs/links.py         says which links are wrong
python docs/links.py --fix   writes the right line numbers, where the name still is in the file
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

DOCS = Path(__file__).parent
LINK = re.compile(r"\[`([^`]+)`\]\(([^)#]+)#L(\d+)\)")


def wrong(page: Path) -> list[tuple[str, str, int, int | None]]:
    """For each wrong link of a page: name, target, line that it has, and the line it should have, if there is one."""
    found = []
    for name, target, number in LINK.findall(page.read_text()):
        file = (page.parent / target).resolve()
        lines = file.read_text().splitlines() if file.is_file() else []
        if not (int(number) <= len(lines) and name in lines[int(number) - 1]):
            places = [i for i, line in enumerate(lines, 1) if name in line]
            found.append((name, target, int(number), places[0] if places else None))
    return found


def fix(page: Path) -> None:
    """Write the line where the name occurs first."""
    text = page.read_text()
    for name, target, old, new in wrong(page):
        if new is not None:
            text = text.replace(f"[`{name}`]({target}#L{old})", f"[`{name}`]({target}#L{new})")
    page.write_text(text)


def main() -> int:
    """0 if every link is right."""
    pages = sorted(DOCS.rglob("*.md"))
    if "--fix" in sys.argv:
        for page in pages:
            fix(page)
    bad = [(page, *link) for page in pages for link in wrong(page)]
    for page, name, target, line, _ in bad:
        print(f"{page.relative_to(DOCS)}: `{name}` is not at {target}#L{line}")
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main())
