"""Documents of real atomate2 flows and of a recorded VASP run, as they lie in a jobflow store."""

from __future__ import annotations

import copy
import shutil
import warnings
from pathlib import Path
from typing import Any

from ase import Atoms
from jobflow import JobStore
from maggma.stores import MemoryStore
from pymatgen.core import Structure
from pymatgen.io.ase import AseAtomsAdaptor
from pymatgen.io.vasp import Poscar, Vasprun

from pet_flows.dft.importers.importing import Imported, store_all
from pet_flows.dft.importers.jobflow_store import read_job_store
from pet_flows.dft.importers.known import Known
from pet_flows.dft.importers.options import Options
from pet_flows.store.results import ResultStore

RECORDED = Path(__file__).parent / "data" / "Si64_displaced.vasprun.xml.gz"
#: what emmet reads of an OUTCAR, as VASP writes it
OUTCAR = """\
 running on    4 total cores
   k-points           NKPTS =      2   number of bands    NBANDS=    164
   IBRION =     -1    ionic relax: 0-MD 1-quasi-New 2-CG
   total plane-waves  NPLWV =  85184
 maximum and minimum number of plane-waves per node :      2903     2891
    total drift:                                0.000000      0.000000     -0.000001
 General timing and accounting informations for this job:
                  Total CPU time used (sec):        3.528
                            User time (sec):        3.271
                          System time (sec):        0.257
                         Elapsed time (sec):        4.100
"""
EMT = {"@module": "ase.calculators.emt", "@callable": "EMT"}
#: of the job that a user marks; mp-ft is mp-149
LINKS = {"material_id": "mp-ft", "pet_record": "a record's key"}


def copper_gold() -> Structure:
    """Cu3Au in L1_2: four atoms in a formula unit, no parameter but the lattice constant."""
    scaled = [[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
    found = AseAtomsAdaptor.get_structure(
        Atoms("AuCu3", scaled_positions=scaled, cell=[3.74] * 3, pbc=True)
    )
    found.properties["material_id"] = "mine-7"
    return found


def vasp_folder(place: Path) -> Vasprun:
    """Lay the recorded run down as a calculation lies on a disk."""
    place.mkdir(parents=True)
    shutil.copy(RECORDED, place / "vasprun.xml.gz")
    (place / "OUTCAR").write_text(OUTCAR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run = Vasprun(str(RECORDED), parse_dos=False, parse_eigen=False, parse_potcar_file=False)
    Poscar(run.final_structure).write_file(str(place / "CONTCAR"))
    return run


def vasp_document(place: Path) -> dict[str, Any]:
    """The recorded run as atomate2 stores it."""
    from emmet.core.tasks import TaskDoc
    from monty.json import jsanitize

    vasp_folder(place)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        output = jsanitize(TaskDoc.from_directory(place), strict=True, enum_values=True)
    return {
        "uuid": "00000000-vasp",
        "index": 1,
        "name": "static",
        "metadata": dict(LINKS),
        "completed_at": "2026-03-01T12:00:00.123456",
        "output": output,
    }


def run_flows(folder: Path) -> JobStore:
    """Relaxation, static, elastic constants, phonons and equation of state of Cu3Au by EMT."""
    from atomate2.forcefields.flows.elastic import ElasticMaker
    from atomate2.forcefields.flows.eos import ForceFieldEosMaker
    from atomate2.forcefields.flows.phonons import PhononMaker
    from atomate2.forcefields.jobs import ForceFieldRelaxMaker, ForceFieldStaticMaker
    from jobflow import Flow, run_locally

    def relax(**more: Any) -> ForceFieldRelaxMaker:
        return ForceFieldRelaxMaker(
            force_field_name=EMT, relax_kwargs={"fmax": 1e-4}, steps=200, **more
        )

    given = copper_gold()
    static = ForceFieldStaticMaker(force_field_name=EMT)
    ions = relax(relax_cell=False)
    start = relax().make(given)
    relaxed = start.output.structure
    end = static.make(relaxed)
    elastic = ElasticMaker(bulk_relax_maker=None, elastic_relax_maker=ions)
    phonon = PhononMaker(
        bulk_relax_maker=None,
        static_energy_maker=static,
        phonon_displacement_maker=static,
        min_length=7.0,
        generate_frequencies_eigenvectors_kwargs={"npoints_band": 3, "kpoint_density_dos": 2000},
    )
    eos = ForceFieldEosMaker(initial_relax_maker=relax(), eos_relax_maker=ions)
    flow = Flow(
        [start, end, elastic.make(relaxed), phonon.make(relaxed), eos.make(given)], name="Cu3Au"
    )
    flow.update_metadata(LINKS, dynamic=True)
    store = JobStore(MemoryStore(), {"data": MemoryStore()})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run_locally(
            flow,
            store=store,
            root_dir=folder,
            create_folders=True,
            ensure_success=True,
            raise_immediately=True,
            log=False,
        )
    return store


def documents(store: JobStore) -> tuple[list[dict], list[dict]]:
    """Jobs, and what they have in ``data``, without the ids of the store."""
    parts = (store.docs_store, store.additional_stores["data"])
    found = [[dict(one) for one in part.query()] for part in parts]
    for one in (*found[0], *found[1]):
        one.pop("_id", None)
    return found[0], found[1]


def fill(store: JobStore, jobs: list[dict], data: list[dict]) -> None:
    """Put documents into another store, as jobflow does."""
    store.docs_store.update(copy.deepcopy(jobs), key=["uuid", "index"])
    store.additional_stores["data"].update(copy.deepcopy(data), key="blob_uuid")


def bring_in(results: ResultStore, job_store: JobStore, options: Options | None = None) -> Imported:
    """References of everything in a jobflow store."""
    options = options or Options()
    known = Known(results.references, options)
    return store_all(results, read_job_store(job_store, options, known))


def only(results: ResultStore, property: str, **more: Any) -> dict[str, Any]:
    """The one reference of a property."""
    (found,) = results.references.find({"property": property, **more})
    return found
