"""Mo-Nb-Ta-W on the bcc lattice: every ordering of small cells, formation energies, the hull.

    python workflows/alloy_hull.py                       # 4 elements, cells of up to 3 atoms
    python workflows/alloy_hull.py --elements Mo Ta --atoms 4
    python workflows/alloy_hull.py --dft dft.extxyz --level functional=PBE --most 60

With DFT results (a file or folder that `pet-flows reference add` takes, with energies of structures
of these elements, pure ones among them) a second campaign evaluates the same structures, and both
hulls are put beside each other.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from itertools import product

import numpy as np
from jobflow import JobStore, run_locally
from pymatgen.core import Composition, Lattice, Structure
from rich.console import Console

import pet_flows
from pet_flows.compare.energies import above
from pet_flows.compare.energies.hull import Hull, Phase
from pet_flows.dft.documents import reference_of
from pet_flows.dft.importers.given_level import parse_level
from pet_flows.dft.importers.importing import import_references
from pet_flows.dft.importers.options import Options
from pet_flows.dft.reference import Reference
from pet_flows.inputs.prototypes import guess_volume

#: identifier → composition and eV/atom
Energies = dict[str, tuple[Composition, float]]

#: primitive vectors of bcc in units of the cube's edge
BCC = np.array([[-1, 1, 1], [1, -1, 1], [1, 1, -1]]) / 2


def point_group() -> list[np.ndarray]:
    """The 48 operations of the cube, integers in the primitive basis, for rows."""
    found = []
    for order in ([0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]):
        for signs in product((1, -1), repeat=3):
            operation = np.eye(3)[order] * np.array(signs)[:, None]
            found.append(np.rint(BCC @ operation @ np.linalg.inv(BCC)).astype(int))
    return found


def superlattices(n: int) -> Iterator[np.ndarray]:
    """Hermite normal forms of determinant n: every superlattice of n cells once (rows)."""
    for a in range(1, n + 1):
        for c in range(1, n // a + 1):
            if n % (a * c) == 0:
                for b, d, e in product(range(c), range(n // (a * c)), range(n // (a * c))):
                    yield np.array([[a, b, d], [0, c, e], [0, 0, n // (a * c)]])


def hermite(matrix: np.ndarray) -> np.ndarray:
    """Hermite normal form of an integer matrix (rows), found among those of its determinant."""
    n = round(abs(np.linalg.det(matrix)))
    for form in superlattices(n):
        ratio = matrix @ np.linalg.inv(form)
        if np.abs(ratio - np.rint(ratio)).max() < 1e-6:
            return form
    raise ValueError("no such lattice")


class _Cell:
    """Lattice points of one cell of a superlattice."""

    def __init__(self, lattice: np.ndarray):
        self.n = round(abs(float(np.linalg.det(lattice))))
        self.inverse = np.linalg.inv(lattice)
        box = np.array(list(product(range(self.n), repeat=3)))
        by_place = {self._place(point): point for point in box}
        self.points = np.array(list(by_place.values()))
        self.index = {place: at for at, place in enumerate(by_place)}

    def _place(self, point: np.ndarray) -> tuple[int, ...]:
        return tuple(np.rint(point @ self.inverse * self.n).astype(int) % self.n)

    def places(self, moved: np.ndarray) -> list[int]:
        """Which of its points these are translated copies of."""
        return [self.index[self._place(point)] for point in moved]


def orderings(n: int, n_species: int) -> Iterator[tuple[np.ndarray, np.ndarray, tuple[int, ...]]]:
    """Superlattice, its points, and species on them: each ordering of n atoms once.

    As G. L. W. Hart and R. W. Forcade, Phys. Rev. B 77, 224115 (2008) define them: neither equal
    by an operation of the lattice, nor a repetition of a smaller cell.
    """
    group, done = point_group(), set()
    for lattice in superlattices(n):
        if lattice.tobytes() in done:
            continue
        images = [hermite(lattice @ operation) for operation in group]
        done |= {image.tobytes() for image in images}
        cell = _Cell(lattice)
        points = cell.points

        translations = [cell.places(points + shift) for shift in points]
        kept = [op for op, image in zip(group, images, strict=True) if (image == lattice).all()]
        moves = [cell.places(points @ op + shift) for op in kept for shift in points]
        for species in product(range(n_species), repeat=n):
            same = {tuple(species[at] for at in move) for move in moves}
            repeats = sum(tuple(species[at] for at in t) == species for t in translations)
            if species == min(same) and repeats == 1:
                yield lattice, points, species


def alloys(elements: list[str], most_atoms: int) -> list[Structure]:
    """Ordered crystals, their volume the mean of the elements' own."""
    found: list[Structure] = []
    volume = {element: guess_volume(element, "bcc") for element in elements}
    numbers: dict[str, int] = defaultdict(int)
    for n in range(1, most_atoms + 1):
        for lattice, points, species in orderings(n, len(elements)):
            names = [elements[at] for at in species]
            edge = (2 * np.mean([volume[name] for name in names])) ** (1 / 3)
            structure = Structure(
                Lattice(lattice @ BCC * edge), names, points @ BCC * edge, coords_are_cartesian=True
            )
            formula = structure.reduced_formula
            numbers[formula] += 1
            structure.properties["material_id"] = f"{formula}-{n}-{numbers[formula]}"
            found.append(structure)
    return found


def screened(
    name: str, structures: list[Structure], properties: list[str], store: JobStore
) -> Energies:
    """Identifier → (composition, eV/atom) of final statics."""
    maker = pet_flows.ScreenMaker(name=name, potential="pet-mvl", properties=properties)
    run_locally(maker.make(structures), store=store, log=False)
    records = pet_flows.ResultStore.from_job_store(store)
    found = {}
    for record in records.query(
        {"sources.campaign": name, "property": "static", "state": "ok"},
        ["sources", "composition_reduced", "result.energy_per_atom"],
    ):
        (identifier, *_) = [s["material_id"] for s in record["sources"] if s["campaign"] == name]
        composition = Composition(record["composition_reduced"])
        found[identifier] = (composition, record["result"]["energy_per_atom"])
    return found


def above_hull(energies: Energies) -> dict[str, tuple[float, float]]:
    """Identifier → formation energy from the own elements and energy above the hull, eV/atom."""
    phases = {
        name: Phase(name, composition.formula, energy)
        for name, (composition, energy) in energies.items()
    }
    hull = Hull(phases.values())
    return {name: (hull.formation(phase), hull.above(phase)) for name, phase in phases.items()}


def told(title: str, hull: dict[str, tuple[float, float]]) -> None:
    stable = sorted((form, name) for name, (form, distance) in hull.items() if not distance)
    print(f"{title}: {len(hull)} structures, {len(stable)} of them on the hull")
    for form, name in stable:
        print(f"  {name:16} {1000 * form:8.1f} meV/atom")


def chosen(references: list[Reference], most: int) -> list[Reference]:
    """The lowest of each element, and of the rest as many of each composition."""
    by_formula: dict[str, list[Reference]] = defaultdict(list)
    for reference in references:
        by_formula[reference.formula].append(reference)
    for several in by_formula.values():
        several.sort(key=lambda one: one.result["energy_per_atom"])
    pure = [s[0] for f, s in by_formula.items() if len(Composition(f)) == 1]
    mixed = [s for f, s in by_formula.items() if len(Composition(f)) > 1]
    ranks = range(max(map(len, mixed), default=0))
    rest = [several[rank] for rank in ranks for several in mixed if rank < len(several)]
    return [*pure, *rest[:most]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--elements", nargs="+", default=["Mo", "Nb", "Ta", "W"])
    parser.add_argument("--atoms", type=int, default=3, help="in a cell, at most")
    parser.add_argument("--dft", help="what pet-flows reference add takes")
    parser.add_argument("--level", default="functional=PBE", help="of these results")
    parser.add_argument("--most", type=int, default=60, help="alloys of them that are evaluated")
    asked = parser.parse_args()
    store = pet_flows.open_job_store()  # of your jobflow.yaml, or pet_flows.db in this folder
    structures = alloys(asked.elements, asked.atoms)
    own = screened("bcc alloys", structures, ["relax", "static"], store)
    told("own hull", above_hull(own))
    if asked.dft is None:
        return
    against_dft(asked, store)


def against_dft(asked: argparse.Namespace, store: JobStore) -> None:
    """The same structures by DFT and by the potential: energies, and both hulls."""
    records = pet_flows.ResultStore.from_job_store(store)
    options = Options(level=parse_level(asked.level))
    print(asked.dft, import_references(records, asked.dft, options=options))
    wanted = {"property": "static", "elements": {"$not": {"$elemMatch": {"$nin": asked.elements}}}}
    references = chosen([reference_of(d) for d in records.references.find(wanted)], asked.most)
    theirs, inputs = {}, []
    for reference in references:
        name, structure = reference.source.name, reference.structure
        structure.properties["material_id"] = name
        inputs.append(structure)
        theirs[name] = (structure.composition, reference.result["energy_per_atom"])
    ours = screened("dft alloys", inputs, ["static"], store)
    both = [name for name in theirs if name in ours]
    dft = above_hull({name: theirs[name] for name in both})
    pet = above_hull({name: ours[name] for name in both})
    told("DFT hull", dft)
    told("PET hull, same structures", pet)
    errors = [1000 * (pet[name][0] - dft[name][0]) for name in both if len(theirs[name][0]) > 1]
    print(f"formation energies: MAE {np.abs(errors).mean():.1f} meV/atom, n = {len(errors)}")
    compared = pet_flows.compare_campaign(records, "dft alloys")
    Console(width=110).print(pet_flows.comparison_table(compared))
    # as matbench-discovery counts: DFT's hull stays fixed, and the potential's formation energies
    # are set beside it
    for found in above.above_hull(records, "dft alloys", "dft"):
        if found.stability is not None and found.stability.counts.f1 is not None:
            counts = found.stability.counts
            print(f"{found.potential}: stable on the DFT hull, F1 {counts.f1:.2f}, n = {counts.n}")


if __name__ == "__main__":
    main()
