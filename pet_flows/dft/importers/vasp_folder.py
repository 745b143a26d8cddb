"""Folders of VASP calculations, read by emmet."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from pet_flows.dft.importers.found import Found
from pet_flows.dft.importers.importing import attempt
from pet_flows.dft.importers.known import Known
from pet_flows.dft.importers.options import Options
from pet_flows.dft.importers.read import LeftOut, Read, Unchanged
from pet_flows.dft.importers.vasp_task import references
from pet_flows.dft.reference import Origin, Reference

#: what is read with a vasprun.xml, where it is there
_BESIDE = ("OUTCAR", "CONTCAR")
#: of phonopy, made of calculations beside it or in folders such as disp-001 below it
_FORCES = "FORCE_SETS"


def read(source: str, options: Options, known: Known) -> Iterator[Read]:
    """References of one calculation, or of all that lie below a folder.

    Parameters
    ----------
    source
        A vasprun.xml, a folder with one, or a folder of such folders. Displaced cells of a phonon
        calculation, which lie beside its FORCE_SETS, are left out.
    """
    given = Path(source).expanduser()
    files = [given] if given.is_file() else sorted(given.rglob("vasprun*.xml*"))
    groups: dict[Path, list[Path]] = {}
    for file in files:
        if given.is_dir() and _is_displaced(file):
            yield LeftOut(str(file), "displaced cell")
            continue
        # several runs of one calculation lie side by side, each with an OUTCAR of its own;
        # without one they are calculations of their own
        place = file.parent if _is_whole(file.parent) and given.is_dir() else file
        groups.setdefault(place, []).append(file)
    origins = {place: _origin(place, files) for place, files in groups.items()}
    unchanged = known.unchanged(origins.values())
    for place, origin in origins.items():
        if origin.identity in unchanged:
            yield Unchanged(origin.name, unchanged[origin.identity])
        else:
            yield from attempt(origin.name, partial(_read, place, origin, options))


def _origin(place: Path, files: list[Path]) -> Origin:
    path = place.resolve()
    changed = max(file.stat().st_mtime for file in files)
    return Origin(
        name=str(path),
        dir_name=str(path if path.is_dir() else path.parent),
        completed_at=datetime.fromtimestamp(changed, UTC),
    )


def _is_displaced(file: Path) -> bool:
    """Whether it is one of the calculations that FORCE_SETS were made of."""
    folder = file.resolve().parent
    if (folder / _FORCES).exists():
        return True
    return folder.name.lower().startswith("disp") and (folder.parent / _FORCES).exists()


def _is_whole(folder: Path) -> bool:
    """Whether everything that emmet reads of a calculation is there."""
    return all(any(folder.glob(f"{name}*")) for name in _BESIDE)


def _read(place: Path, origin: Origin, options: Options) -> Iterator[Reference]:
    where = origin.model_dump(include={"dir_name", "completed_at"})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of POTCARs that are not there, and other absences
        content = _whole(place) if place.is_dir() else _of_vasprun(place)
    yield from references(Found(content, origin.name, options, origin=where))


def _whole(folder: Path) -> dict[str, Any]:
    """Document of a folder that emmet can read, as jobflow would store it."""
    from emmet.core.tasks import TaskDoc
    from monty.json import jsanitize

    found: dict[str, Any] = jsanitize(TaskDoc.from_directory(folder), strict=True, enum_values=True)
    return found


def _of_vasprun(file: Path) -> dict[str, Any]:
    """The same fields where there is only a vasprun.xml, for which emmet has no document."""
    from emmet.core.vasp.calc_types import run_type, task_type
    from emmet.core.vasp.calculation import CalculationInput
    from pymatgen.io.vasp import Vasprun

    vasprun = Vasprun(str(file), parse_dos=False, parse_eigen=False, parse_potcar_file=False)
    given = CalculationInput.from_vasprun(vasprun).model_dump()
    last = vasprun.ionic_steps[-1]
    return {
        "ionic_steps": vasprun.ionic_steps,
        "structure": vasprun.final_structure,
        "output": {
            "energy": float(vasprun.final_energy),
            "forces": last.get("forces"),
            "stress": last.get("stress"),
        },
        "input": given,
        "run_type": run_type({**vasprun.parameters, **vasprun.incar}),
        "task_type": task_type(given),
        "state": "successful" if vasprun.converged else "failed",
    }
