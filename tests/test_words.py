"""One meaning for each word: docs/glossary.md, held by names and prose of the package."""

from __future__ import annotations

import io
import keyword
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import pytest

from tests.sentences import HOUSE

GLOSSARY = HOUSE.parent / "docs" / "glossary.md"
PROSE = {tokenize.COMMENT, tokenize.STRING, tokenize.FSTRING_MIDDLE}


@dataclass(frozen=True)
class Rule:
    """A word that is not used in another sense, or at all.

    Attributes
    ----------
    forms
        Regular expression of the word in all its forms.
    but
        What may stand, in prose or as a whole name, and is not looked at.
    where
        Beginnings of paths in which the word has its one meaning.
    """

    forms: str
    but: str = r"(?!)"
    where: tuple[str, ...] = ()


#: packages and modules that know of Jobflow
_WITH_JOBS = (
    "api", "cli/", "flows/", "jobs/", "launch/", "properties/execution", "records/", "settings",
    "store/",
)  # fmt: skip
#: first form of the word, as the glossary lists it → how it is found
RULES = {
    "turn": Rule(r"turn(s|ed|ing)?"),
    "carried": Rule(r"carr(y|ies|ied|ying)"),
    "words": Rule(r"words?", r"break long words"),
    "lost": Rule(r"los(t|e|es|ing)"),
    "room": Rule(r"rooms?", r"room temperature"),
    "anew": Rule(r"anew"),
    "mend": Rule(r"mend(s|ed|ing)?"),
    # distance in Å beyond which the energy of an atom does not depend on other atoms
    "reach": Rule(
        r"reach\w*",
        where=("engines/", "export/", "properties/phonon/cells", "dft/live/calculator"),
    ),
    # a Jobflow job
    "job": Rule(
        r"jobs?",
        r"\bjob store\b|job_store|pet_flows\.jobs",
        where=(*_WITH_JOBS, "dft/importers/", "dft/reference"),
    ),
    # a task document of atomate2; FireWorks, the progress bars of rich and Python's queues have
    # their own
    "task": Rule(
        r"tasks?",
        r"task id|task_id|task done|task doc|task state|collection: tasks",
        where=("cli/progress", "dft/importers/", "launch/able", "launch/unnamed"),
    ),
}


@cache
def texts() -> tuple[tuple[str, int, str, bool], ...]:
    """Path, line and text of every name (in its parts) and piece of prose of the package."""
    return tuple(_texts())


def _texts() -> Iterator[tuple[str, int, str, bool]]:
    for path in sorted(HOUSE.rglob("*.py")):
        place = path.relative_to(HOUSE).as_posix()
        for token in tokenize.generate_tokens(io.StringIO(path.read_text("utf-8")).readline):
            if token.type == tokenize.NAME and not keyword.iskeyword(token.string):
                yield place, token.start[0], token.string, True
            elif token.type in PROSE:
                yield place, token.start[0], token.string, False


def parts(name: str) -> str:
    """Words of a name: ``_CrystalBound.as_dict`` → ``crystal bound as dict``."""
    return " ".join(re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name)).lower()


@pytest.mark.parametrize("word", RULES)
def test_a_word_has_one_meaning(word: str) -> None:
    rule = RULES[word]
    pattern = re.compile(rf"(?<![a-z]){rule.forms}(?![a-z])", re.IGNORECASE)
    wrong = [
        f"pet_flows/{place}:{line}: {text.strip()[:90]}"
        for place, line, text, is_name in texts()
        if not place.startswith(rule.where or "\0")
        and pattern.search(
            re.sub(rule.but, "", parts(text) if is_name else text, flags=re.IGNORECASE)
        )
    ]
    assert not wrong, "\n".join(wrong)


def rows(n_cells: int) -> list[tuple[str, ...]]:
    """Rows of the glossary's table with so many columns, its head left out."""
    lines = [line for line in GLOSSARY.read_text("utf-8").splitlines() if line.startswith("| ")]
    cells = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines]
    return [row for row in cells if len(row) == n_cells][1:]


def test_the_glossary_lists_these_words():
    assert [other for _, other, _ in rows(3)] == list(RULES)


@pytest.mark.parametrize("word", [word for word, _ in rows(2)])
def test_words_of_the_glossary_are_used(word: str) -> None:
    """By the package or by another page, as a name or in prose."""
    pages = [path.read_text("utf-8") for path in GLOSSARY.parent.rglob("*.md") if path != GLOSSARY]
    said = [parts(text) if is_name else text for _, _, text, is_name in texts()]
    pattern = re.compile(rf"\b{word.removesuffix('s')}".replace(" ", r"\s+"), re.IGNORECASE)
    assert any(pattern.search(text) for text in (*said, *pages))
