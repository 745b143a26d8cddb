"""Imports point one way: from the physics of one atom to the command line, never back."""

from __future__ import annotations

import ast
from pathlib import Path

import pet_flows

HOUSE = Path(pet_flows.__file__).parent
#: each imports only from those before it
LAYERS = (
    "errors", "yaml_file", "validate", "settings", "locks", "geometry", "crystallography",
    "symmetrization", "audit", "models", "engines", "families", "export", "properties", "records",
    "store", "inputs", "dft", "compare", "report", "jobs", "flows", "launch", "api_result", "api",
    "cli",
)  # fmt: skip


def modules() -> dict[str, Path]:
    """Dotted name → file."""
    found = {}
    for path in HOUSE.rglob("*.py"):
        parts = path.relative_to(HOUSE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(path: Path, known: set[str], *, inside: bool) -> set[str]:
    """Modules of ours that a file imports at its top, or also inside of functions."""
    tree = ast.parse(path.read_text())
    typing_only = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.dump(block.test)
        for node in ast.walk(block)
    }
    nodes = ast.walk(tree) if inside else _top(tree)
    found: set[str] = set()
    for node in nodes:
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {
                f"{node.module}.{a.name}" if f"{node.module}.{a.name}" in known else node.module
                for a in node.names
            }
    return found & known


def _top(tree: ast.Module) -> list[ast.AST]:
    found: list[ast.AST] = []
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef | ast.ClassDef):
            found += ast.walk(node)
    return found


def layer(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def test_every_room_is_a_layer() -> None:
    rooms = {layer(name) for name in modules()} - {""}
    assert rooms <= set(LAYERS)


def test_imports_point_one_way() -> None:
    """Also those inside of functions: a late import is for speed, not to dodge a circle."""
    known = modules()
    order = {name: n for n, name in enumerate(LAYERS)}
    wrong = [
        f"{name} imports {other}"
        for name, path in known.items()
        if layer(name)
        for other in imports(path, set(known), inside=True)
        if layer(other) and order[layer(other)] > order[layer(name)]
    ]
    assert not wrong


def test_there_are_no_circles() -> None:
    known = modules()
    graph = {name: imports(path, set(known), inside=True) for name, path in known.items()}
    graph.pop("pet_flows")  # its names are looked up when they are asked for
    done: set[str] = set()

    def visit(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, f"a circle: {' → '.join([*above[above.index(name) :], name])}"
        if name in done or name not in graph:
            return
        for other in sorted(graph[name]):
            visit(other, (*above, name))
        done.add(name)

    for name in sorted(graph):
        visit(name, ())


def test_files_are_of_one_idea() -> None:
    long = {
        name: n
        for name, path in modules().items()
        if (n := len(path.read_text().splitlines())) > 300
    }
    assert not long
