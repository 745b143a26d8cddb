"""Code blocks of README and docs/, with the marks that say which of them tests run.

A block of Python begins with one of the lines ``<!-- tested -->``, ``<!-- tested: mongodb -->`` or
``<!-- not run: why -->``. Marked blocks of a page are one script, in one folder; blocks of shell
commands that are ``tested`` run in that folder too, in the order of the page.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")], key=lambda path: path.as_posix()
)
BLOCK = re.compile(
    r"(?:^<!-- (?P<mark>[^>]*) -->\n)?^```(?P<language>\w*)[^\n]*\n(?P<code>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Block:
    """One code block of a page."""

    language: str
    mark: str
    code: str
    line: int

    @property
    def tested(self) -> bool:
        return self.mark.split(":")[0] == "tested"


def blocks(page: Path) -> list[Block]:
    """All fenced code blocks of a page."""
    text = page.read_text("utf-8")
    return [
        Block(
            found["language"],
            (found["mark"] or "").strip(),
            found["code"],
            text[: found.start("code")].count("\n") + 1,
        )
        for found in BLOCK.finditer(text)
    ]


def run_python(block: Block, page: Path, space: dict[str, object]) -> None:
    """Run a block; a traceback names the page and its line."""
    code = "\n" * (block.line - 1) + block.code
    exec(compile(code, str(page), "exec"), space)


def name_of(page: Path) -> str:
    """A page as tests list it."""
    return page.relative_to(ROOT).as_posix()


def mongodb(block: Block, uri: str, database: str) -> Block:
    """The block with the server and database of the tests in place of the reader's."""
    code = block.code.replace("mongodb://localhost:27017", uri)
    return Block(
        block.language, block.mark, code.replace('"materials"', repr(database)), block.line
    )
