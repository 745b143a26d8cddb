"""Moduli and heat capacities of the same structures and potential, by pet_flows and by matcalc.

Needs ``pip install matcalc 'pet-flows[sevenn,chgnet]'`` and a sample that ``pet-flows benchmark``
wrote::

    python benchmarks/matcalc_peer.py benchmark/elasticity-20-0.json chgnet:0.3.0 --most 4

For each of the smallest entries it prints what pet_flows gives, what matcalc gives with relaxed
ions and the strains of pet_flows, and by default (clamped ions, shears of up to 6 %).
"""

from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path
from typing import Any

from pymatgen.core import Structure

from pet_flows import api
from pet_flows.properties.elastic.declaration import ElasticSettings
from pet_flows.properties.phonon.declaration import PhononSettings

STRAINS = tuple(sign * size for size in ElasticSettings().strain_magnitudes for sign in (-1.0, 1.0))


def calculator_of(model: str) -> Any:
    """The family's own ASE calculator."""
    family, _, which = model.partition(":")
    if family == "sevenn":
        from sevenn.calculator import SevenNetCalculator

        return SevenNetCalculator(which, device="cpu")
    from chgnet.model import CHGNet, CHGNetCalculator

    return CHGNetCalculator(CHGNet.load(model_name=which, verbose=False), use_device="cpu")


def moduli(structure: Structure, model: str, calculator: Any) -> dict[str, list[float | None]]:
    """K and G (GPa) by each way."""
    from matcalc import ElasticityCalc

    relaxed = api.compute("relax", structure, model)
    ours = api.compute("elastic", relaxed, model).result
    found: dict[str, list[float | None]] = {"pet_flows": [ours.k_vrh, ours.g_vrh]}
    ways: dict[str, dict[str, Any]] = {
        "matcalc, relaxed ions, same strains": {
            "norm_strains": STRAINS, "shear_strains": STRAINS,
            "relax_deformed_structures": True, "fmax": 0.001,
        },
        "matcalc, defaults": {"fmax": 0.05},
    }  # fmt: skip
    for name, options in ways.items():
        result = ElasticityCalc(calculator, units_GPa=True, **options).calc(structure)
        found[name] = [result["bulk_modulus_vrh"], result["shear_modulus_vrh"]]
    return found


def heat_capacity(
    structure: Structure, model: str, calculator: Any
) -> dict[str, list[float | None]]:
    """Cv at 300 K (J/mol/K of the primitive cell) by each way."""
    from matcalc import PhononCalc

    relaxed = api.compute("relax", structure, model)
    settings = {"temperatures": (300.0,), "band_structure": False, "dos": False}
    ours = api.compute("phonon", relaxed, model, settings)
    assert ours.structure is not None
    atoms = len(ours.structure.get_primitive_structure())
    found: dict[str, list[float | None]] = {"pet_flows": [ours.result.thermal[0].cv * atoms]}
    length = PhononSettings().min_length
    peer = PhononCalc(calculator, min_length=length, fmax=0.001, write_phonon=False)
    result = peer.calc(structure)
    cv = float(result["thermal_properties"]["heat_capacity"][30])
    found["matcalc"] = [cv * atoms / len(structure)]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sample", type=Path)
    parser.add_argument("model")
    parser.add_argument("--most", type=int, default=4)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    entries = json.loads(asked.sample.read_text())
    structures = [Structure.from_dict(entry["structure"]) for entry in entries]
    order = sorted(range(len(entries)), key=lambda n: len(structures[n]))
    calculator = calculator_of(asked.model)
    measure = heat_capacity if "heat_capacity" in entries[0] else moduli
    for n in order[: asked.most]:
        entry = entries[n]
        values = {k: v for k, v in entry.items() if isinstance(v, float)}
        print(entry.get("mp_id"), entry["formula"], len(structures[n]), "sites", values, flush=True)
        for way, found in measure(structures[n], asked.model, calculator).items():
            print(
                f"  {way:40}",
                *("     none" if v is None else f"{v:9.3f}" for v in found),
                flush=True,
            )


if __name__ == "__main__":
    main()
