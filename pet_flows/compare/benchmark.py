"""Public sets of crystals with published values, sampled, and what potentials make of them.

The sets are those of matcalc's benchmark (https://github.com/materialsvirtuallab/matcalc,
``benchmark_data``; code BSD-3, values of the Materials Project, Alexandria and WBM CC BY 4.0),
lists of ``{mp_id or material_id, formula, structure, values}`` in JSON, which a user downloads.
"""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from pet_flows.compare.campaign import Compared
from pet_flows.compare.statistics import Summary, summarize
from pet_flows.dft.importers.unrecognized import DAMAGED
from pet_flows.errors import PetFlowsError
from pet_flows.store.results import ResultStore


@dataclass(frozen=True)
class PublicSet:
    """One kind of set, recognized by the values beside its structures."""

    name: str
    column: str
    """a key that no other set has"""
    properties: Mapping[str, Mapping[str, Any]]
    """what is computed, with settings"""
    quantities: tuple[str, ...]
    """of the comparison, whose errors are told"""
    unstable: tuple[str, str, bool] | None
    """property, field of its result, and value by which it calls a crystal unstable"""
    level: str
    """level of theory of the values, as `pet-flows reference add --level` takes it"""


SETS = (
    PublicSet(
        "elasticity", "bulk_modulus_vrh", {"relax": {}, "elastic": {}}, ("k_vrh", "g_vrh"),
        ("elastic", "stable", False), "functional=PBE",
    ),
    PublicSet(
        # shorter supercells than by default: heat capacities at 300 K change by less than 1 %
        "phonon", "heat_capacity",
        {"relax": {}, "phonon": {"min_length": 10.0, "band_structure": False, "dos": False}},
        ("cv_300K",), ("phonon", "has_imaginary_modes", True), "functional=PBE",
    ),
    PublicSet(
        "equilibrium", "corrected_energy", {"relax": {}}, ("volume_per_atom",),
        None, "functional=PBE",
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Sample:
    """Some entries of a set, in a file of their own."""

    kind: PublicSet
    file: Path
    n: int
    of: int
    """entries of the whole set"""


def take_sample(path: Path, n: int, seed: int, folder: Path) -> Sample:
    """Choose entries of a set at random, and write them into a file.

    The same seed gives the same entries, and a larger sample has those of the smaller ones.

    Parameters
    ----------
    path
        Of the set, ``.json`` or ``.json.gz``.
    n
        How many; all if there are fewer.
    seed
        Of the choice.
    folder
        Where the file goes.

    Raises
    ------
    PetFlowsError
        It is not such a set.
    """
    if not path.is_file():
        raise PetFlowsError(
            f"There is no file {path}: download a set of matcalc's benchmark_data, and give its "
            "path."
        )
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rt") as stream:
            entries = json.load(stream)
    except DAMAGED as error:
        raise PetFlowsError(f"{path} cannot be read ({error}): download it again.") from None
    if not isinstance(entries, list) or not entries or not isinstance(entries[0], dict):
        raise PetFlowsError(
            f"{path} holds no list of JSON documents: give a set of matcalc's benchmark_data."
        )
    keys = set(entries[0])
    kind = next((one for one in SETS if one.column in keys), None)
    if kind is None:
        columns = ", ".join(one.column for one in SETS)
        raise PetFlowsError(f"The entries of {path} must have one of {columns}: give such a set.")
    order = Random(seed).sample(range(len(entries)), len(entries))
    chosen = sorted(order[:n])
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{kind.name}-{len(chosen)}-{seed}.json"
    file.write_text(json.dumps([entries[number] for number in chosen]))
    return Sample(kind, file, len(chosen), len(entries))


@dataclass(frozen=True)
class Line:
    """What one potential made of a sample."""

    potential: str
    states: Mapping[str, Mapping[str, int]]
    """property → state → records"""
    reasons: Mapping[str, int]
    """of those that failed or did not converge"""
    unstable: int
    """crystals that the potential itself calls unstable: without Hill's moduli, or with imaginary
    modes, they are missing from the errors"""
    errors: tuple[Summary, ...]


def lines_of(store: ResultStore, compared: Compared, kind: PublicSet) -> list[Line]:
    """One line for each potential of a campaign."""
    campaign = compared.campaigns[0]
    property, field, value = kind.unstable or ("", "", True)
    fields = ["property", "state", "reason", "potential", *([f"result.{field}"] if field else [])]
    by_potential: dict[str, list[dict[str, Any]]] = {}
    for record in store.query({"sources.campaign": campaign}, fields):
        by_potential.setdefault(str(record["potential"]["name"]), []).append(record)
    summaries = summarize(compared.documents(), worst=5)
    lines = []
    for name, records in sorted(by_potential.items()):
        states: dict[str, Counter[str]] = {}
        for record in records:
            states.setdefault(record["property"], Counter())[record["state"]] += 1
        reasons = Counter(str(r["reason"]) for r in records if r["state"] != "ok")
        found = [(r.get("result") or {}).get(field) for r in records if r["property"] == property]
        own = tuple(s for s in summaries if s.potential == name and s.name in kind.quantities)
        plain = {of: dict(counts) for of, counts in states.items()}
        lines.append(Line(name, plain, dict(reasons), found.count(value), own))
    return lines
