"""Code blocks of README and docs/, with the marks that say which of them tests run.

The line above a block is its mark, a comment of HTML:

- ``tested``: Python, or commands of ours, that tests run, one after the other, in one folder;
- ``tested: mongodb``: Python that needs a server;
- ``printed``: what the block before it prints; ``...`` stands for anything;
- ``file: NAME``: a file that is in that folder from there on. A ``pyproject.toml`` is installed as
  far as its entry points go;
- ``not run: why``.
"""

from __future__ import annotations

import re
import shlex
import tomllib
from dataclasses import dataclass, replace
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
    def file(self) -> str | None:
        return self.mark.removeprefix("file: ") if self.mark.startswith("file: ") else None

    def commands(self) -> list[list[str]]:
        """Words of each pet-flows command, without comments, redirections and pipes."""
        found = []
        for line in self.code.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if "pet-flows" in words:
                start = words.index("pet-flows") + 1
                ends = [k for k in range(start, len(words)) if words[k] in ("|", ">", "&", "&&")]
                found.append(words[start : min(ends, default=len(words))])
        return found


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


def indented(page: Path) -> list[Block]:
    """Shell commands of a page in indented blocks, which are looked at and not run."""
    text = page.read_text("utf-8")
    fenceless = BLOCK.sub(lambda found: "\n" * found[0].count("\n"), text)
    return [
        Block("sh", "", found[0], fenceless[: found.start()].count("\n") + 1)
        for found in re.finditer(r"(?:^ {4}.*\n)+", fenceless, re.MULTILINE)
        if re.search(r"^ {4}pet-flows ", found[0], re.MULTILINE)
    ]


def name_of(page: Path) -> str:
    """A page as tests list it."""
    return page.relative_to(ROOT).as_posix()


def run_python(block: Block, page: Path, space: dict[str, object]) -> None:
    """Run a block; a traceback names the page and its line."""
    code = "\n" * (block.line - 1) + block.code
    exec(compile(code, str(page), "exec"), space)


def mongodb(block: Block, uri: str, database: str) -> Block:
    """The block with the server and database of the tests in place of the reader's."""
    code = block.code.replace("mongodb://localhost:27017", uri)
    return replace(block, code=code.replace('"materials"', repr(database)))


def write_file(block: Block, folder: Path) -> None:
    """Put a file of a page into a folder, with the entry points that it declares."""
    place = folder / str(block.file)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(block.code, "utf-8")
    if place.name == "pyproject.toml":
        install_entry_points(tomllib.loads(block.code)["project"], folder)


def install_entry_points(project: dict, folder: Path) -> None:
    """What pip would write about a package of that folder."""
    info = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    lines = []
    for group, entries in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {target}" for name, target in entries.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")


def missing_lines(expected: str, printed: str) -> list[str]:
    """Lines of a ``printed`` block that are not, in this order, among what was printed."""
    rest = [" ".join(line.split()) for line in printed.splitlines()]
    missing = []
    for line in expected.splitlines():
        words = " ".join(line.split())
        if not words or words == "...":
            continue
        pattern = re.compile(".*".join(re.escape(part.strip()) for part in words.split("...")))
        place = next((n for n, found in enumerate(rest) if pattern.fullmatch(found)), None)
        if place is None:
            missing.append(line)
        else:
            rest = rest[place + 1 :]
    return missing
