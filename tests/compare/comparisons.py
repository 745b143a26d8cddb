"""Documents of ``pet_comparisons`` made by hand."""

from __future__ import annotations

from datetime import datetime
from typing import Any

WHEN = datetime(2026, 1, 1)


def comparison(number: int = 0, *values: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """One of a static record and a reference of another number each."""
    return {
        "_id": f"comparison-{number}",
        "record": f"record-{number}",
        "reference": f"reference-{number}",
        "campaigns": ["first"],
        "property": "static",
        "matched_by": "identifier",
        "rmsd": None,
        "level_differs": [],
        "potential": {"digest": "a" * 16, "name": "test"},
        "material_id": f"mp-{number}",
        "formula_pretty": "Si",
        "spacegroup": {"tight": 227, "loose": 227},
        "level": {"functional": "PBE", "digest": "b" * 16},
        "values": list(values),
        "corrections": None,
        "warnings": [],
        "record_state": "ok",
        "record_updated": WHEN,
        "reference_updated": WHEN,
        "built_at": WHEN,
        **changes,
    }


def value(pet: Any, dft: Any, name: str = "energy_per_atom", unit: str = "eV") -> dict[str, Any]:
    """One value; of two labels without a difference."""
    difference = None if isinstance(pet, bool | str) else pet - dft
    relative = None if difference is None or not dft else difference / abs(dft)
    return {
        "name": name, "unit": unit, "pet": pet, "dft": dft, "difference": difference,
        "relative": relative,
    }  # fmt: skip
