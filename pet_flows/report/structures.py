"""Final structures of records as files that keep their identifiers when they are read again."""

from __future__ import annotations

import json
import logging
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np
from pydantic import ValidationError

from pet_flows.errors import PetFlowsError
from pet_flows.properties.registry import properties
from pet_flows.properties.static.declaration import StaticResult
from pet_flows.records.keys import structure_digest
from pet_flows.report.damage import SYMPTOMS, damage
from pet_flows.report.find import label
from pet_flows.store.results import ResultStore
from pet_flows.validate import unknown

if TYPE_CHECKING:
    from ase import Atoms
    from pymatgen.core import Structure

logger = logging.getLogger(__name__)

FORMATS = ("cif", "poscar", "extxyz")
#: relative
_SAME_VOLUME = 1e-6
_ENDING = {"cif": "cif", "poscar": "vasp"}


def export(
    store: ResultStore, criteria: Mapping[str, Any], sort: Mapping[str, int], limit: int,
    kind: str, place: Path, campaign: str | None = None,
) -> Counter[str]:  # fmt: skip
    """Write the final structure of every record that matches, each structure of a material once.

    Properties that start from a relaxation share its final structure: it is written once, with
    what the relaxation says of it, since records are gone through in the order in which a campaign
    computes their properties. What failed has no final structure.

    Parameters
    ----------
    store
        Of the records.
    criteria, sort, limit
        As for `ResultStore.query`.
    kind
        ``cif`` or ``poscar``: a folder with a file each; ``extxyz``: one file.
    place
        The folder, or the file.
    campaign
        Whose names the structures get, where records have several.

    Returns
    -------
    Counter
        ``written``, ``failed``, ``unconverged`` (written too).

    Raises
    ------
    PetFlowsError
        There is no such format, or the files cannot be written.
    """
    if kind not in FORMATS:
        raise PetFlowsError(unknown(kind, FORMATS, "format of structures"))
    counts: Counter[str] = Counter()
    written = _Written()
    try:
        with ExitStack() as files:
            write = _writer(kind, place, files)
            for record in _in_order(store, criteria, sort, limit):
                try:
                    counts.update(_one(record, store, campaign, written, write))
                except SYMPTOMS as error:
                    logger.warning("%s It is left out.", damage(record, error))
    except OSError as error:
        raise PetFlowsError(
            f"{place} cannot be written ({error.strerror}): name another "
            f"{'file' if kind == 'extxyz' else 'folder'}."
        ) from None
    return counts


def _one(
    record: Mapping[str, Any],
    store: ResultStore,
    campaign: str | None,
    written: _Written,
    write: Callable[..., None],
) -> list[str]:
    """Write the structure of one record; what it counts as."""
    if record["state"] == "failed":
        return ["failed"]
    name = label(record, campaign)
    if written.has(name, record):
        return []
    structure = store.final_structure(record)
    if not written.add(name, record, structure_digest(structure)):
        return []
    write(name, record, structure, store)
    return ["written", "unconverged"] if record["state"] == "unconverged" else ["written"]


class _Written:
    """Structures that are in the files already, under the name of their material."""

    def __init__(self) -> None:
        self._volumes: dict[tuple[str, str], float | None] = {}

    def has(self, name: str, record: Mapping[str, Any]) -> bool:
        """Whether a record is about a crystal that is written, though perhaps of another cell."""
        if _moves(record):
            return False
        volume = record["volume_per_atom"]
        for start in (record["parent"], record["structure_digest"]):
            known = self._volumes.get((name, start or ""), 0.0)
            if known == volume or (known and volume and abs(volume / known - 1.0) < _SAME_VOLUME):
                return True
        return False

    def add(self, name: str, record: Mapping[str, Any], digest: str) -> bool:
        """Take down a structure; False if it was there."""
        if (name, digest) in self._volumes:
            return False
        for key in (digest, record["_id"]):
            self._volumes[name, key] = record["volume_per_atom"]
        return True


def _moves(record: Mapping[str, Any]) -> bool:
    """Whether a record's final structure is a snapshot of a motion."""
    prop = properties().get(record["property"])
    if prop is None:
        return False
    try:
        return prop.purpose(prop.settings.model_validate(record["settings"])) == "dynamics"
    except ValidationError:  # of a version with other settings
        return False


def _in_order(
    store: ResultStore, criteria: Mapping[str, Any], sort: Mapping[str, int], limit: int
) -> Iterator[dict[str, Any]]:
    """Matching records, property by property."""
    known = list(properties())
    without = {"symmetry_reference": 0, "input_structure": 0}
    found = 0
    for which in [*known, {"$nin": known}]:
        wanted = (
            {"$and": [dict(criteria), {"property": which}]} if criteria else {"property": which}
        )
        for record in store.query(wanted, without, sort, max(0, limit - found)):
            yield record
            found += 1
        if limit and found >= limit:
            return


def _writer(kind: str, place: Path, files: ExitStack) -> Any:
    if kind == "extxyz":
        if place.parent != Path():
            place.parent.mkdir(parents=True, exist_ok=True)
        return _Frames(files.enter_context(place.open("w")))
    place.mkdir(parents=True, exist_ok=True)
    return _Folder(kind, place)


class _Folder:
    """One file for each structure."""

    def __init__(self, kind: str, folder: Path):
        self._kind, self._folder = kind, folder
        self._taken: set[str] = set()

    def __call__(
        self, name: str, record: Mapping[str, Any], structure: Structure, store: ResultStore
    ) -> None:
        stem = re.sub(r"[^\w.+-]+", "-", Path(name).name)
        for longer in (stem, f"{stem}_{record['property']}", f"{stem}_{record['_id'][:8]}"):
            stem = longer
            if stem not in self._taken:
                break
        self._taken.add(stem)
        text = _cif(name, record, structure) if self._kind == "cif" else _poscar(name, structure)
        (self._folder / f"{stem}.{_ENDING[self._kind]}").write_text(text)


def _cif(name: str, record: Mapping[str, Any], structure: Structure) -> str:
    """CIF in P1, the identifier as a database code: what readers trust more than a file's name."""
    from pymatgen.io.cif import CifWriter

    text = str(CifWriter(structure, significant_figures=10))
    block, body = text[text.index("data_") :].split("\n", 1)
    quote = '"' if "'" in name else "'"
    return (
        f"# {record['property']} of {record['formula_pretty']} by pet-flows with "
        f"{record['potential']['name']}, record {record['_id']}\n"
        f"{block}\n_database_code_pet_flows   {quote}{name}{quote}\n{body}"
    )


def _poscar(name: str, structure: Structure) -> str:
    """POSCAR with each element in one piece, as VASP wants it, else in the same order."""
    from pymatgen.core import Structure
    from pymatgen.io.vasp import Poscar

    order = {symbol: n for n, symbol in enumerate(dict.fromkeys(map(str, structure.species)))}
    sites = sorted(structure, key=lambda site: order[str(site.specie)])
    return Poscar(Structure.from_sites(sites), comment=name).get_str(significant_figures=12)


class _Frames:
    """One file of extended XYZ, a frame each with identifier, energy, stress and forces."""

    def __init__(self, file: TextIO):
        self._file = file

    def __call__(
        self, name: str, record: Mapping[str, Any], structure: Structure, store: ResultStore
    ) -> None:
        from ase.io.extxyz import write_xyz

        atoms = frame(name, record, structure, store)
        atoms.info = {key: _text(value) for key, value in atoms.info.items()}
        write_xyz(self._file, [atoms])


def _text(value: str) -> str:
    """Give a name so that ASE's reader takes it for text, be it ``0012`` or ``1e5``."""
    from ase.io.extxyz import key_val_dict_to_str, key_val_str_to_dict

    read = key_val_str_to_dict(key_val_dict_to_str({"name": value}))["name"]
    same = isinstance(read, str) and read == value
    return value if same else f"_JSON {json.dumps(value)}"


def frame(name: str, record: Mapping[str, Any], structure: Structure, store: ResultStore) -> Atoms:
    """ASE's atoms of a final structure, with what the record says of it.

    Returns
    -------
    ase.Atoms
        ``info`` holds ``material_id``, ``key``, ``property``, ``state``, ``potential``; the
        calculator has energy (eV) and stress (eV/Å³) of a relaxation, a static one's forces (eV/Å)
        too.
    """
    from ase import Atoms
    from ase.calculators.singlepoint import SinglePointCalculator
    from ase.units import GPa

    atoms = Atoms(
        [site.specie.symbol for site in structure],
        positions=structure.cart_coords,
        cell=structure.lattice.matrix,
        pbc=structure.lattice.pbc,
    )
    atoms.info = {
        "material_id": name,
        "key": record["_id"],
        "property": record["property"],
        "state": record["state"],
        "potential": record["potential"]["name"],
    }
    result = record["result"]
    known: dict[str, Any] = {}
    prop = properties().get(record["property"])
    if prop is not None and issubclass(prop.result, StaticResult) and "energy" in result:
        known["energy"] = result["energy"]
        if result.get("stress") is not None:
            known["stress"] = (
                GPa * np.array(result["stress"])[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
            )
        if "static" in record["blobs"]:
            known["forces"] = store.blobs.read(record["blobs"]["static"])["forces"]
    if known:
        atoms.calc = SinglePointCalculator(atoms, **known)
    return atoms


def counts_said(counts: Mapping[str, int], place: Path) -> Iterable[str]:
    """What was exported, for a person."""
    yield f"{counts['written']} structure{'s' * (counts['written'] != 1)} in {place}"
    if counts["unconverged"]:
        yield f"{counts['unconverged']} of them did not converge."
    if counts["failed"]:
        several = counts["failed"] != 1
        yield (
            f"{counts['failed']} record{'s' * several} failed and {'have' if several else 'has'} "
            "no final structure."
        )
