"""Who may ask whom: the four packages import one way, and spglib and moyopy are asked in one."""

import ast
from pathlib import Path

import pytest

import pet_flows

ROOT = Path(pet_flows.__file__).parent
#: each imports of pet_flows only those before it, and errors
ORDER = ("geometry", "crystallography", "symmetrization", "audit")


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


@pytest.mark.parametrize("package", ORDER)
def test_packages_import_one_way(package: str) -> None:
    allowed = {"errors", *ORDER[: ORDER.index(package) + 1]}
    for path in (ROOT / package).glob("*.py"):
        own = {name.split(".")[1] for name in imports(path) if name.startswith("pet_flows.")}
        assert own <= allowed, path
