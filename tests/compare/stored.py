"""Records and references in a real store, made as jobs and importers make them, without a model."""

from __future__ import annotations

import hashlib
import itertools
from typing import Any

import numpy as np
from ase import Atoms
from pymatgen.core import Lattice, Structure
from pymatgen.io.ase import AseAtomsAdaptor

from pet_flows.dft.documents import document_of
from pet_flows.dft.level import LevelOfTheory
from pet_flows.dft.reference import Origin, Reference
from pet_flows.inputs.prototypes import build_prototype
from pet_flows.models.spec import PotentialSpec
from pet_flows.properties.outcome import Outcome
from pet_flows.properties.registry import get_property
from pet_flows.records.build import build_record
from pet_flows.store.results import ResultStore

PBE = LevelOfTheory(functional="PBE", spin=False)
#: the level that PBE potentials without a card have: functional and no U
PLAIN = LevelOfTheory(functional="PBE")
_numbers = itertools.count()


def potential(name: str = "test", functional: str | None = "PBE", **said: Any) -> dict[str, Any]:
    """A potential without a card, of which the functional is all that is known."""
    spec = PotentialSpec(model=name, sha256=hashlib.sha256(name.encode()).hexdigest())
    return {
        "digest": spec.digest, "name": name, "sha256": spec.sha256, "symmetrization": "crystal",
        "dtype": "float64", "functional": functional, "run_type": "GGA", **said,
    }  # fmt: skip


OAM = potential("pet-oam-xl-v1.0.0", run_type="GGA_GGA+U")


def rocksalt(a: float = 4.2, metal: str = "Mg", anion: str = "O") -> Structure:
    """Conventional cell; `Structure.from_spacegroup` needs a second for these."""
    metals = [[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]
    anions = [[0.5, 0.5, 0.5], [0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5]]
    return Structure(Lattice.cubic(a), [metal] * 4 + [anion] * 4, metals + anions)


def caesium_chloride(a: float = 2.6, metal: str = "Mg", anion: str = "O") -> Structure:
    return Structure(Lattice.cubic(a), [metal, anion], [[0, 0, 0], [0.5, 0.5, 0.5]])


def element(symbol: str, prototype: str) -> Structure:
    return build_prototype(symbol, prototype)


def results(property: str, atoms: Atoms, **values: Any) -> dict[str, Any]:
    """A whole result of a property, with these values in it."""
    n = len(atoms)
    energy = float(values.get("energy_per_atom", -1.0))
    static = {
        "energy": energy * n, "energy_per_atom": energy, "max_force": 0.0,
        "stress": np.zeros((3, 3)).tolist(), "pressure": 0.0,
    }  # fmt: skip
    cell = dict(zip(("a", "b", "c", "alpha", "beta", "gamma"), atoms.cell.cellpar(), strict=True))
    known = {
        "static": static,
        "relax": {
            **static, "n_steps": 1, "n_steps_float64": 0, "converged": True,
            "enthalpy_per_atom": energy, "energy_change": 0.0, "volume_change": 0.0,
            "lattice": {name: float(value) for name, value in cell.items()}, "rmsd": 0.0,
            "path": None,
        },
        "eos": {
            "v0_per_atom": atoms.get_volume() / n, "e0_per_atom": energy, "b0": 100.0,
            "b0_prime": 4.0, "residual": 0.0, "volumes": [1.0], "energies": [energy],
        },
    }  # fmt: skip
    return {**known[property], **values}


def put_record(
    store: ResultStore,
    property: str,
    structure: Structure | None,
    name: str | None = None,
    *,
    final: Structure | None = None,
    state: str = "ok",
    campaign: str = "first",
    parent: str | None = None,
    potential: dict[str, Any] | None = None,
    tags: list[str] | None = None,
    **values: Any,
) -> str:
    """Store a record; gives its key."""
    atoms = None
    if structure is not None and state != "failed":
        atoms = AseAtomsAdaptor.get_atoms(
            _bare(structure if final is None else final), msonable=False
        )
    outcome: dict[str, Any] = {"atoms": atoms, "state": state}
    if atoms is not None:
        outcome["result"] = results(property, atoms, **values)
    if state != "ok":
        outcome |= {"reason": "max_steps", "message": "It ended early; allow more steps."}
    record, blobs = build_record(
        Outcome(index=0, **outcome),
        input_structure=structure,
        property=property,
        settings=get_property(property).settings(),
        potential=potential or _POTENTIAL,
        parent=parent,
        sources=[{
            "campaign": campaign, "material_id": name, "path": f"{next(_numbers)}.cif",
            "tags": tags or [],
        }],
    )  # fmt: skip
    store.put(record, blobs)
    return str(record["_id"])


def _bare(structure: Structure) -> Structure:
    return Structure(
        structure.lattice,
        [site.species.element_composition for site in structure],
        structure.frac_coords,
    )


def reference(property: str, structure: Structure, *ids: str, **changes: Any) -> Reference:
    """A reference; what is no field of it is a value of its result."""
    fields = {
        "level": PBE,
        "source": Origin(name=f"calculation {next(_numbers)}", database="tests"),
        **{name: changes.pop(name) for name in ("level", "source", "records", "entry", "problems")
           if name in changes},
    }  # fmt: skip
    return Reference(
        property=property, result=changes, structure=structure, material_ids=ids, **fields
    )


def put_reference(store: ResultStore, *given: Any, **changes: Any) -> str:
    """Store a reference; gives its id."""
    made = given[0] if isinstance(given[0], Reference) else reference(*given, **changes)
    store.references.put(*document_of(made))
    return made.id


_POTENTIAL = potential()
