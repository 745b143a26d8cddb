"""Blocks, names and values of a CIF, as version 1.1 of the format has them (and what 2.0 adds).

Rules: S. R. Hall, J. D. Westbrook, International Tables for Crystallography G (2005), 2.2.7; CIF
2.0: H. J. Bernstein et al., J. Appl. Cryst. 49, 277 (2016). What is wrong in a place that says
nothing of the crystal is passed over: an apostrophe that is never closed, a stray token.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field

from pet_flows.inputs.text import DamagedError

UNKNOWN = ("", "?", ".")
"""Values that say nothing; ``.`` stands for the dictionary's default where there is one."""

Items = dict[str, list[str]]
"""Name (in lower case, ``_`` for ``.``) → its values; one where the name stands alone."""

Token = tuple[str, bool]
"""A token, and whether it stood in quotes or was a text, so that it can only be a value."""

_BLOCK = re.compile(r"[ \t]*data_", re.IGNORECASE)
_VERSION_2 = re.compile(r"\s*#\\#CIF_2")
_LONE_NAME = re.compile(r"\s*_\S+\s*")
_TOKEN = re.compile(r"""(#).*|'(.*?)'(?!\S)|"(.*?)"(?!\S)|([^'"\s]\S*)""")
"""A quote ends where white space follows it, so that ``'a dog's life'`` is one token."""
_TOKEN_2 = re.compile(r"""(#).*|'([^']*)'|"([^"]*)"|([][{}]|[^][{}'"\s][^][{}\s]*)""")
_LONG_STRING = re.compile(r"""(?<!\S)('''|\"{3})(.*?)\1""", re.DOTALL)
_ENDS_TABLE = re.compile(r"_|loop_|save_|(?:global_|stop_)$", re.IGNORECASE)


@dataclass
class Block:
    """One block: its name, its tokens in order, and whether a text in it never ends."""

    name: str
    tokens: list[Token] = field(default_factory=list)
    unfinished: bool = False


def split_blocks(text: str) -> list[Block]:
    """Cut a file into its blocks; two of one name stay two.

    ``data_`` inside of a text (between lines that begin with ``;``) begins no block.
    """
    newer = bool(_VERSION_2.match(text))
    if newer:  # a string over several lines is a text by another sign
        text = _LONG_STRING.sub(lambda found: _as_text(found[2]), text)
    lines = text.split("\n")
    blocks: list[Block] = []
    current = Block("")  # what stands before the first block belongs to none
    at = 0
    while at < len(lines):
        line = lines[at]
        if line.startswith(";"):
            end = _end_of_text(lines, at)
            if end is None:
                current.unfinished = True
                at = next((n for n in range(at + 1, len(lines)) if _BLOCK.match(lines[n])), at)
                if not _BLOCK.match(lines[at]):
                    break
                continue
            current.tokens.append((_unfold([line[1:], *lines[at + 1 : end]]), True))
            at, line = end, lines[end][1:]
        elif _BLOCK.match(line):
            name, *rest = line.split(maxsplit=1)
            current = Block(name[5:])
            blocks.append(current)
            line = "".join(rest)
        current.tokens += _tokens(line, newer)
        at += 1
    for block in blocks:
        block.tokens = _without_lists(block.tokens) if newer else block.tokens
    return blocks


def tables_of(block: Block) -> Items:
    """Give the names and values of a block.

    Raises
    ------
    DamagedError
        One of its tables (``loop_``) or texts has no proper end; a table is named by its first
        column.
    """
    if block.unfinished:
        raise DamagedError(
            "begins a text with ; in a line of its own and never ends it: add that ;."
        )
    items: Items = {}
    tokens = deque(block.tokens)
    while tokens:
        token, quoted = tokens.popleft()
        if quoted or not _ENDS_TABLE.match(token):
            continue
        if token.startswith("_"):
            alone = not tokens or _is_end(tokens[0])
            items[_normal(token)] = ["?" if alone else tokens.popleft()[0].strip()]
        elif token.lower().startswith("loop_"):
            items |= _table(tokens)
    return items


def _table(tokens: deque[Token]) -> Items:
    """Take the columns and the values behind a ``loop_``."""
    columns: list[str] = []
    values: list[str] = []
    while tokens and tokens[0][0].startswith("_") and not tokens[0][1]:
        columns.append(tokens.popleft()[0])
    while tokens and not _is_end(tokens[0]):
        values.append(tokens.popleft()[0].strip())
    if not columns:
        raise DamagedError("has a loop_ without names of columns: restore them.")
    if not values or len(values) % len(columns):
        raise DamagedError(
            f"has a table from {columns[0]} on with {len(columns)} columns but {len(values)} "
            "values: one is missing, or it was cut off there; restore it."
        )
    return {_normal(name): values[n :: len(columns)] for n, name in enumerate(columns)}


def _normal(name: str) -> str:
    """Spell a name in the way of version 1, in which capitals do not count."""
    return name.lower().replace(".", "_").rstrip("_")


def _is_end(token: Token) -> bool:
    return not token[1] and bool(_ENDS_TABLE.match(token[0]))


def _tokens(line: str, newer: bool) -> list[Token]:
    """Cut a line into tokens, its comment left out."""
    found = []
    for comment, single, double, bare in (_TOKEN_2 if newer else _TOKEN).findall(line):
        if not comment:
            found.append((bare, False) if bare else (single or double, True))
    return found


def _end_of_text(lines: list[str], start: int) -> int | None:
    """Find the line that ends the text begun in line ``start``; None where there is none.

    A text may hold a whole CIF. But where a block begins in it, and what should be its end stands
    behind a name, that is the beginning of the next text: this one was never ended.
    """
    for end in range(start + 1, len(lines)):
        if not lines[end].startswith(";"):
            continue
        inside = lines[start + 1 : end]
        last = next((line for line in reversed(inside) if line.strip()), "")
        if _LONE_NAME.fullmatch(last) and any(_BLOCK.match(line) for line in inside):
            return None
        return end
    return None


def _unfold(lines: list[str]) -> str:
    """Join the lines of a text, whose long lines are folded if it begins with a backslash."""
    text = "\n".join(line.rstrip() for line in lines)
    if not text.startswith("\\\n"):
        return text
    return text.removeprefix("\\\n").replace("\\\n", "")


def _as_text(content: str) -> str:
    return "\n;" + content.replace("\n;", "\n ;") + "\n;\n"


def _without_lists(tokens: list[Token]) -> list[Token]:
    """Make one value of each list ``[...]`` and table ``{...}`` of version 2."""
    found: list[Token] = []
    depth = 0
    for token in tokens:
        if not token[1] and token[0] in ("[", "{"):
            depth += 1
        if depth == 0:
            found.append(token)
        elif not token[1] and token[0] in ("]", "}"):
            depth -= 1
            if depth == 0:
                found.append(("[...]", True))
    return found
