"""Files of installed packages, found without importing these."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, packages_distributions, version
from importlib.util import find_spec
from pathlib import Path

from pet_flows.errors import PetFlowsError


def folder_of(package: str) -> Path:
    """Folder of a top-level package.

    Raises
    ------
    PetFlowsError
        It is not installed.
    """
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise PetFlowsError(f"There is no package {package} here: install it.")
    return Path(next(iter(spec.submodule_search_locations)))


def source_of(module: str) -> Path:
    """File of a module, perhaps within packages, none of which is imported.

    Raises
    ------
    PetFlowsError
        There is none.
    """
    first, *inner = module.split(".")
    spec = find_spec(first)
    if spec is None:
        raise PetFlowsError(
            f"There is no module {module} here: install its package, or add its folder to "
            "PYTHONPATH."
        )
    if not inner:
        if spec.origin is None or not Path(spec.origin).is_file():
            raise PetFlowsError(f"The module {module} has no file: name one of a package.")
        return Path(spec.origin)
    for folder in spec.submodule_search_locations or ():
        place = Path(folder, *inner)
        for file in (place.with_suffix(".py"), place / "__init__.py"):
            if file.is_file():
                return file
    raise PetFlowsError(f"The package {first} has no module {module}: check its name.")


def version_of(module: str) -> str | None:
    """Version of the distribution that a module came with; None where there is none."""
    first = module.split(".")[0]
    try:
        return version(packages_distributions().get(first, [first])[0])
    except PackageNotFoundError:
        return None
