"""With what and where a record was computed, without importing any of it."""

from __future__ import annotations

import platform
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

#: packages whose version can change a number
PACKAGES = (
    "pet-flows", "torch", "metatrain", "metatomic-torch", "vesin", "torch-sim-atomistic", "ase",
    "pymatgen", "numpy", "spglib", "moyopy", "phonopy", "symfc",
    # of other families, where they are installed
    "sevenn", "chgnet", "mace-torch", "nequip", "e3nn",
)  # fmt: skip


@lru_cache(maxsize=1)
def versions() -> dict[str, str]:
    """Version of every package of `PACKAGES` that is installed, and of Python."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def provenance(device: str | None, wall_time: float) -> dict[str, Any]:
    """Give a record's ``provenance``.

    Parameters
    ----------
    device
        cpu, cuda:0, ...; None where nothing was computed.
    wall_time
        s, this record's share of its batch.
    """
    return {
        "versions": dict(versions()),
        "device": device,
        "host": platform.node() or "unknown",
        "wall_time": float(wall_time),
    }
