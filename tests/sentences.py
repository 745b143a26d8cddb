"""What the package says to people, read from its source: errors with their reasons, warnings, help.

A sentence is kept as a template, in which ``{}`` stands for what is filled in when it is said.
Sentences are followed through f-strings, sums, conditions, local names, constants of a module and
functions that return text.
"""

from __future__ import annotations

import ast
import itertools
import re
from collections import ChainMap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pet_flows

HOUSE = Path(pet_flows.__file__).parent
#: what is no PetFlowsError, but has a reason and a sentence after it that go into a record
REFUSALS = {"_Unfit": 1, "failed_input": 2}
#: errors whose text goes on after the name of the file that they are about
OF_A_FILE = {"DamagedError": 0, "NoStructureError": 0}
#: at most so many variants of one template; beyond them every part was seen several times
_VARIANTS = 200
#: and so many steps from an expression to its parts
_DEEP = 12
_SAYING = (
    ast.Call, ast.Constant, ast.Dict, ast.FunctionDef, ast.JoinedStr, ast.Raise, ast.Tuple,
    ast.keyword,
)  # fmt: skip

#: name → expressions it is given in a function, and in the module around it
Scope = ChainMap[str, list[ast.expr]]


@dataclass(frozen=True)
class Sentence:
    """One sentence and where it is said."""

    place: str
    error: str
    text: str
    reason: str | None = None

    @property
    def own(self) -> str:
        """The text without what is filled in."""
        return self.text.replace("{}", "")

    def __str__(self) -> str:
        return f"{self.place} {self.error}: {self.text}"


@cache
def trees() -> dict[str, ast.Module]:
    """Path below the package → syntax tree."""
    return {
        path.relative_to(HOUSE).as_posix(): ast.parse(path.read_text("utf-8"))
        for path in sorted(HOUSE.rglob("*.py"))
    }


@cache
def error_classes() -> dict[str, int]:
    """Names of our error classes → the position of the sentence among their arguments."""
    found = {"PetFlowsError": 0}
    bases = {
        node.name: {base.id for base in node.bases if isinstance(base, ast.Name)}
        for tree in trees().values()
        for node in tree.body
        if isinstance(node, ast.ClassDef)
    }
    while new := {n for n, b in bases.items() if b & set(found) and n not in found}:
        found |= dict.fromkeys(new, 0)
    return {**found, "StructureError": 1, **REFUSALS, **OF_A_FILE}


@cache
def errors() -> tuple[Sentence, ...]:
    """Every sentence given to one of our errors, and every pair of a reason and a sentence."""
    return tuple(
        sentence
        for path in trees()
        for node, scope in _nodes(path)
        for sentence in _said(path, node, scope)
    )


@cache
def notes() -> tuple[Sentence, ...]:
    """Every other text that is a sentence, such as warnings and help, docstrings left out."""
    said = {sentence.text for sentence in errors()}
    return tuple(
        Sentence(f"{path}:{node.lineno}", "text", text)
        for path in trees()
        for node, scope in _nodes(path)
        if isinstance(node, ast.Constant | ast.JoinedStr)
        for text in _texts(node, scope)
        if re.match(r"(\{\}|[A-Z]).* .*[.?]$", text) and text not in said
    )


@cache
def reasons() -> dict[str, set[bool]]:
    """Every reason of a record → whether it is retryable, as each place says that gives it."""
    found: dict[str, set[bool]] = {}

    def add(value: ast.expr, scope: Scope, retryable: bool = False) -> None:
        for text in _texts(value, scope):
            if re.fullmatch(r"[a-z_0-9{}]+", text) and text != "{}":
                found.setdefault(text, set()).add(retryable)

    for path in trees():
        for node, scope in _nodes(path):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in error_classes():
                keywords = {one.arg: ast.unparse(one.value) for one in node.keywords}
                at = error_classes()[node.func.id]  # type: ignore[attr-defined]
                if at and len(node.args) > at:
                    add(node.args[at - 1], scope, keywords.get("retryable") == "True")
                elif OF_A_FILE.get(node.func.id) is not None and len(node.args) > 1:  # type: ignore[attr-defined]
                    add(node.args[1], scope)
            elif isinstance(node, ast.Tuple) and len(node.elts) == 2:
                if any(re.fullmatch(r".* .*\.", text) for text in _texts(node.elts[1], scope)):
                    add(node.elts[0], scope)
            elif isinstance(node, ast.keyword) and node.arg == "reason":
                add(node.value, scope)
            elif isinstance(node, ast.Dict):
                for key, value in zip(node.keys, node.values, strict=True):
                    if isinstance(key, ast.Constant) and key.value == "reason":
                        add(value, scope)
    return found


def _said(path: str, node: ast.AST, scope: Scope) -> Iterator[Sentence]:
    place = f"{path}:{getattr(node, 'lineno', 0)}"
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        name = node.func.id
        at = error_classes().get(name)
        if at is None or len(node.args) <= at:
            return
        reason = _reason(node.args[at - 1]) if at else None
        if name == "DamagedError":
            reason = _reason(node.args[1]) if len(node.args) > 1 else "unreadable"
        for text in _texts(node.args[at], scope):
            yield Sentence(place, name, text, reason)
    elif isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
        if getattr(node.exc.func, "id", None) == "ValueError" and "validator" in scope:
            for text in _texts(node.exc.args[0], scope):
                yield Sentence(place, "validator", text)
    elif isinstance(node, ast.Tuple) and len(node.elts) == 2:
        reason = _reason(node.elts[0])
        is_code = re.fullmatch(r"[a-z]+(_[a-z]+)*", reason or "")
        if is_code and isinstance(node.elts[1], ast.Constant | ast.JoinedStr | ast.BinOp):
            for text in _texts(node.elts[1], scope):
                if " " in text and text.endswith("."):
                    yield Sentence(place, "pair", text, reason)


def _reason(node: ast.expr) -> str | None:
    """The code that a node holds; None for a variable, whose value comes from elsewhere."""
    return str(node.value) if isinstance(node, ast.Constant) else None


@cache
def _nodes(path: str) -> list[tuple[ast.AST, Scope]]:
    """Nodes that may say something, with the values that names have where they stand."""
    found: list[tuple[ast.AST, Scope]] = []
    whole: Scope = ChainMap()
    left: list[tuple[ast.AST, Scope]] = [(trees()[path], whole)]
    while left:
        node, scope = left.pop()
        if isinstance(node, ast.FunctionDef):
            scope = scope.new_child()
            if any("validator" in ast.unparse(d) for d in node.decorator_list):
                scope["validator"] = []
        elif isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr | ast.AugAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                if isinstance(target, ast.Name) and node.value is not None:
                    scope.maps[0].setdefault(target.id, []).append(node.value)
        if isinstance(node, _SAYING):
            found.append((node, scope))
        docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if not docstring:
            left += [(child, scope) for child in ast.iter_child_nodes(node)]
    return found


@cache
def _functions() -> dict[str, list[tuple[ast.FunctionDef, Scope]]]:
    found: dict[str, list[tuple[ast.FunctionDef, Scope]]] = {}
    for path in trees():
        for node, scope in _nodes(path):
            if isinstance(node, ast.FunctionDef) and getattr(node.returns, "id", "") == "str":
                found.setdefault(node.name, []).append((node, scope))
    return found


def _texts(node: ast.expr, scope: Scope, depth: int = 0) -> list[str]:
    """Templates that an expression may become."""
    return list(itertools.islice(dict.fromkeys(_expand(node, scope, depth)), _VARIANTS))


def _expand(node: ast.expr, scope: Scope, depth: int) -> list[str]:
    if depth > _DEEP:
        return ["{}"]

    def parts(*nodes: ast.expr) -> list[str]:
        options = [_texts(n, scope, depth + 1) for n in nodes]
        return ["".join(p) for p in itertools.islice(itertools.product(*options), _VARIANTS)]

    def either(*nodes: ast.expr) -> list[str]:
        return [text for n in nodes for text in _texts(n, scope, depth + 1)]

    match node:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.JoinedStr(values=values):
            return parts(*values)
        case ast.FormattedValue(value=value):
            return ["{}"] if isinstance(value, ast.Constant) else _texts(value, scope, depth + 1)
        case ast.BinOp(op=ast.Add(), left=left, right=right):
            return parts(left, right)
        case ast.IfExp(body=body, orelse=other):
            return either(body, other)
        case ast.BoolOp(values=values):
            return either(*values)
        case ast.Name(id=name) if name in scope and name != "validator":
            return either(*scope[name])
        case ast.Call(func=ast.Attribute(value=ast.Constant(value=str(text)), attr="format")):
            return [re.sub(r"\{[^}]*\}", "{}", text)]
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="format")) if name in scope:
            return [re.sub(r"\{[^}]*\}", "{}", text) for text in either(*scope[name])]
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in _functions():
            return list(_returned(name))
    return ["{}"]


_asked: set[str] = set()


@cache
def _returned(name: str) -> tuple[str, ...]:
    """Templates that the functions of a name return; a recursive one does not say more."""
    if name in _asked:
        return ("{}",)
    _asked.add(name)
    steps = [
        (step.value, inner)
        for function, inner in _functions()[name]
        for step in ast.walk(function)
        if isinstance(step, ast.Return) and step.value is not None
    ]
    return tuple(text for value, inner in steps for text in _texts(value, inner)) or ("{}",)
