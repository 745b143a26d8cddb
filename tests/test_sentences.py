"""Every sentence that a user may read says what is wrong, where, and what to do, in plain words."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from pet_flows.errors import PetFlowsError
from pet_flows.properties.registry import properties
from pet_flows.properties.settings import PropertySettings
from pet_flows.validate import validated
from tests import sentences
from tests.sentences import HOUSE, OF_A_FILE, Sentence, error_classes, trees

#: what a sentence tells people to do begins with one of these, after a comma, colon or semicolon
VERBS = (
    "add", "ask", "build", "call", "check", "choose", "compute", "configure", "copy", "correct",
    "download", "draw", "end", "export", "fetch", "free", "give", "install", "leave", "list",
    "lower", "make", "name", "open", "pass", "put", "raise", "read", "reinstall", "relax", "remove",
    "rename", "repair", "repeat", "report", "restore", "run", "select", "set", "start", "stop",
    "submit", "take", "uninstall", "unpack", "upgrade", "use", "wait", "write",
)  # fmt: skip
ADVICE = re.compile(
    rf"[:;,)]( or| and| then|)+ ({'|'.join(VERBS)})\b"
    rf"|[.?] ({'|'.join(map(str.capitalize, VERBS))})\b|\bmust\b|did you mean"
)
#: what these say goes on in a longer sentence
GO_ON = ("validator", "NoStructureError")
#: words that mean something else to a reader, or nothing → what to say
NOT = {
    r"turn(s|ed|ing)?": "rotation",
    r"carr(y|ies|ied|ying)": "inherit, have",
    r"words?": "text, names",
    r"lost": "missing",
    r"anew": "again",
    r"mend(s|ed)?": "correct, repair",
    r"bind|binding|bound": "what the reader can do",
    r"(?<!:)N": "the supercell matrix",
    r"rooms?": "space",
    r"whoever|whatever": "the author, any",
    r"(?<!there )is no(?! longer)": "is not a",
    # of values: how they must be
    r"cannot be(?! \w*(ed|read|written|found|held|made|drawn|understood|run))": "must be",
}
#: packages whose sentences are still to be written again
PENDING: tuple[str, ...] = ()


def errors() -> list[Sentence]:
    return [one for one in sentences.errors() if not one.place.startswith(PENDING)]


def notes() -> list[Sentence]:
    return [one for one in sentences.notes() if not one.place.startswith(PENDING)]


def explained(sentence: Sentence) -> bool:
    """Whether a sentence ends in that of another error, which is looked at itself."""
    return re.search(r"([:.)]|^\S+|of \S+) \{\}\.?$|^[{}.]*$", sentence.text) is not None


def show(wrong: list[Sentence]) -> str:
    return "\n".join(map(str, wrong))


@cache
def names() -> frozenset[str]:
    """Arguments and fields of the package: sentences may begin with what a user has to change."""
    nodes = [node for tree in trees().values() for node in ast.walk(tree)]
    fields = {
        node.target.id
        for node in nodes
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    return frozenset(fields | {node.arg for node in nodes if isinstance(node, ast.arg)})


def test_there_are_sentences_of_every_class():
    said = {sentence.error for sentence in sentences.errors()}
    assert set(error_classes()) | {"validator", "pair"} == said
    assert len(sentences.errors()) > 200


def test_sentences_begin_with_a_capital_or_with_what_is_meant():
    def begins(sentence: Sentence) -> bool:
        if sentence.error in OF_A_FILE or sentence.text.startswith(("{}", "--", "'")):
            return True
        first = re.match(r"\w*", sentence.text)[0]
        return first[:1].isupper() or (len(first) > 2 and first in names())

    wrong = [sentence for sentence in errors() if not begins(sentence)]
    assert not wrong, show(wrong)


def test_sentences_end():
    """A validator's goes on with what was given, where the whole sentence is made."""
    wrong = [
        sentence
        for sentence in errors()
        if sentence.text.endswith((".", "?"))
        == (sentence.error in ("validator", "NoStructureError"))
        and not explained(sentence)
    ]
    assert not wrong, show(wrong)


def test_sentences_say_what_to_do():
    wrong = [
        sentence
        for sentence in errors()
        if not ADVICE.search(sentence.text)
        and not explained(sentence)
        and sentence.error != "NoStructureError"  # the sentence around it says what to do
    ]
    assert not wrong, show(wrong)


def test_what_must_be_is_told_apart_from_what_is():
    """A value's sentence shows the value: "fmax must be greater than 0 (got -1)"."""
    wrong = [
        sentence
        for sentence in errors()
        if re.match(r"[\w{}-]+ must be ", sentence.text)
        and not {"{}", "(got"} & set(re.findall(r"\{\}|\(got", sentence.text[2:]))
    ]
    assert not wrong, show(wrong)


@pytest.mark.parametrize("word", NOT)
def test_words_that_people_do_not_use_are_not_used(word):
    pattern = re.compile(rf"\b({word})\b", 0 if "N" in word else re.IGNORECASE)
    wrong = [sentence for sentence in (*errors(), *notes()) if pattern.search(sentence.own)]
    assert not wrong, f"say {NOT[word]}:\n{show(wrong)}"


@pytest.mark.parametrize("name", properties())
def test_no_value_is_refused_in_the_words_of_pydantic(name):
    """A wrong value of any setting is told how it must be."""
    model = properties()[name].settings
    wrong = (object(), "?", -7, 1.5e99, 0.333, float("nan"), True, [], ["?"], [[1]], {}, {"?": 1})
    said = {
        refusal
        for field in model.model_fields
        for value in wrong
        if (refusal := refused(model, field, value)) is not None
    }
    assert len(said) > 3
    raw = [
        refusal
        for refusal in said
        if "be valid" in refusal or not re.match(r"There is no setting|[a-z]\w+(\.\w+)* ", refusal)
    ]
    assert not raw


def refused(model: type[PropertySettings], field: str, value: object) -> str | None:
    """Sentence that refuses a value; None where it is taken."""
    try:
        validated(model, {field: value})
    except PetFlowsError as error:
        return str(error)
    return None


def test_reasons_are_in_the_table_of_the_docs():
    page = (HOUSE.parent / "docs" / "reasons.md").read_text("utf-8")
    table = dict(re.findall(r"^\| `(\w+)` \| .{20,}\. \| (yes|no) \|$", page, re.MULTILINE))
    states = {"parent_{}": ("parent_failed", "parent_missing", "parent_unconverged")}
    said = {
        name: retryable
        for reason, retryable in sentences.reasons().items()
        for name in states.get(reason, (reason,))
    }
    assert set(table) == set(said)
    assert list(table) == sorted(table)
    for reason, retryable in said.items():
        assert retryable == {table[reason] == "yes"}, reason
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", reason)
