"""A store with records of several properties, made as jobs make them, without a model."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest
from ase.build import bulk
from pymatgen.io.ase import AseAtomsAdaptor

from pet_flows.cli import main
from pet_flows.models.spec import PotentialSpec
from pet_flows.properties.outcome import Outcome
from pet_flows.properties.registry import get_property
from pet_flows.records.build import build_record
from pet_flows.store.results import ResultStore
from tests.plots.examples import EXAMPLES, Example

CAMPAIGN, FEW = "metals", "few"
SILICON = AseAtomsAdaptor.get_structure(bulk("Si"))


def potential(model: str = "pet-mvl", **changes: Any) -> dict[str, Any]:
    spec = PotentialSpec(model=model, sha256=hashlib.sha256(model.encode()).hexdigest(), **changes)
    return {
        "digest": spec.digest, "name": model, "sha256": spec.sha256, "dtype": spec.dtype,
        "symmetrization": spec.symmetrization, "functional": "PBE", "run_type": "GGA",
    }  # fmt: skip


def made(
    example: Example,
    name: str = "mp-149",
    atoms: Any = None,
    state: str = "ok",
    campaign: str = CAMPAIGN,
    **changes: Any,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Record and blobs of a result for a crystal."""
    atoms = bulk("Si") if atoms is None else atoms
    known: dict[str, Any] = {
        "atoms": None if state == "failed" else atoms, "state": state,
        "result": example.result, "blobs": example.arrays, "wall_time": 1.5,
        "n_evaluations": 12,
    }  # fmt: skip
    if state == "failed":
        known |= {"result": {}, "blobs": {}}
    if state != "ok":
        known |= {"reason": "killed", "message": "It was killed; start it again."}
    known |= changes.pop("outcome", {})
    return build_record(
        Outcome(index=0, **known),
        **{
            "input_structure": AseAtomsAdaptor.get_structure(atoms),
            "property": example.property,
            "settings": get_property(example.property).settings.model_validate(example.settings),
            "potential": potential(),
            "sources": [{"campaign": campaign, "material_id": name, "path": f"{name}.cif"}],
            "device": "cpu",
            **changes,
        },
    )


def fill() -> dict[str, str]:
    """Store the records; gives their keys by words."""
    copper, hot = bulk("Cu", cubic=True), bulk("Si").repeat(2)
    hot.rattle(0.1, seed=1)
    relaxed, blobs = made(EXAMPLES["relax"])
    parent = {"parent": relaxed["_id"]}
    forces = {"static": {"forces": np.array([[0.1, 0.2, 0.3], [-0.1, -0.2, -0.3]])}}
    # as of before paths were stored
    before = {**EXAMPLES["relax"].result, "path": None}
    copper_relaxed = made(EXAMPLES["relax"], "mp-30", copper, outcome={"result": before})
    below = {"parent": copper_relaxed[0]["_id"]}
    made_of = {
        "relax": (relaxed, blobs),
        "static": made(EXAMPLES["static"], **parent, outcome={"blobs": forces}),
        "eos": made(EXAMPLES["eos"], **parent),
        "phonon": made(EXAMPLES["phonon"], **parent),
        "kappa": made(EXAMPLES["kappa"], **parent),
        "md": made(EXAMPLES["md"], **parent, outcome={"atoms": hot}),
        "copper relax": copper_relaxed,
        "copper eos": made(EXAMPLES["eos"], "mp-30", copper, "unconverged", **below),
        "xenon": made(
            EXAMPLES["relax"], "my xenon", bulk("Xe", "fcc", a=6.2), "failed",
            outcome={"reason": "unknown_element", "message": "The model was not trained on Xe."},
        ),
    }  # fmt: skip
    with ResultStore.open() as store:
        store.campaigns.put(
            {"name": CAMPAIGN, "properties": ["relax", "static", "eos"], "n_inputs": 3}
        )
        for record, arrays in made_of.values():
            store.put(record, arrays)
        for word in ("relax", "eos", "copper relax", "xenon"):
            source = {**made_of[word][0]["sources"][0], "campaign": FEW}
            store.add_source(made_of[word][0]["_id"], source)
        # of a package that is not installed here
        foreign = {**made_of["eos"][0], "_id": "f" * 32, "property": "toughness"}
        store.put({**foreign, "result": {"k_ic": 0.9}, "settings": {"crack": 3}})
    return {word: record["_id"] for word, (record, _) in made_of.items()}


def run(capsys, *words):
    """Exit code (1 for a sentence), what was printed, and the sentence or stderr."""
    with pytest.raises(SystemExit) as ended:
        main(list(map(str, words)))
    code = ended.value.code
    captured = capsys.readouterr()
    return (1, captured.out, code) if isinstance(code, str) else (code or 0, *captured)
