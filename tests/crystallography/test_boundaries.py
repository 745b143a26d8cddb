"""spglib and moyopy are asked in one package, which knows what ends their process."""

import ast
from pathlib import Path

import pet_flows

ROOT = Path(pet_flows.__file__).parent


def imports(path: Path) -> set[str]:
    """Modules that a file imports, inside functions too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, path
            found.add(str(node.module))
    return found


def test_spglib_and_moyopy_are_asked_in_crystallography_alone() -> None:
    asking = {
        path.relative_to(ROOT).parts[0]
        for path in ROOT.rglob("*.py")
        for name in imports(path)
        if name.split(".")[0] in ("spglib", "moyopy") or name == "pymatgen.symmetry.analyzer"
    }
    assert asking == {"crystallography"}
