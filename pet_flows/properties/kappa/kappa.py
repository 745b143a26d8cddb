"""Lattice thermal conductivity of crystals: three-phonon scattering by phono3py."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms

from pet_flows.engines.evaluation import Evaluation, System
from pet_flows.engines.potential import Potential
from pet_flows.errors import PetFlowsError, StructureError
from pet_flows.properties.batch import evaluate_each
from pet_flows.properties.kappa.declaration import ConductivitySettings
from pet_flows.properties.kappa.result import analyse
from pet_flows.properties.outcome import Outcome, Progress, largest_spreads
from pet_flows.properties.phonon.cells import (
    BATCH_ATOMS,
    LIBRARY_ERRORS,
    NOT_RELAXED,
    displaced_systems,
    harmonic_crystal,
    no_phonons,
    primitive_of,
    shortened,
)
from pet_flows.properties.phonon.declaration import NonAnalytical
from pet_flows.properties.phonon.force_constants import Harmonic, fit, harmonic, phonopy_atoms
from pet_flows.properties.phonon.nonanalytical import check_nac, primitive_nac
from pet_flows.properties.prepare import require_crystal
from pet_flows.properties.specimen import Specimen, specimens

if TYPE_CHECKING:
    from phono3py import Phono3py

#: eV/Å³; third-order force constants of a crystal are larger
_VANISHING = 1e-4


@dataclass(frozen=True, eq=False)
class _Displaced:
    """One crystal with all its displaced cells."""

    primitive: Specimen
    """what is computed of it"""
    crystal: Harmonic
    """supercell and displacements of the second-order force constants"""
    phono3py: Phono3py
    shifts: np.ndarray
    """(d, N, 3) Å, displacements in the supercell of the third-order force constants"""
    systems: list[System]
    """the perfect and the displaced cells of the second order, then of the third"""


def conductivity(
    structures: Sequence[Atoms],
    potential: Potential,
    settings: ConductivitySettings | None = None,
    inherited: Sequence[dict[str, Any] | None] | None = None,
    *,
    nac: Sequence[NonAnalytical | None] | None = None,
    progress: Progress | None = None,
) -> Iterator[Outcome]:
    """Compute lattice thermal conductivities of relaxed crystals.

    Boltzmann's equation in the relaxation-time approximation, lifetimes from three-phonon
    scattering (A. Togo, L. Chaput, I. Tanaka, Phys. Rev. B 91, 094306 (2015)), by phono3py. Pairs
    of atoms are displaced in a supercell of their own; residual forces are subtracted; symfc's
    projection gives third-order force constants that obey all symmetries and sum rules.

    Parameters
    ----------
    structures
        Three periodic axes; never changed. Reduced to their primitive cells.
    potential
        Evaluated in float64 whatever its own dtype.
    settings
        Supercells, displacements, mesh, temperatures.
    inherited
        Per structure, ``Bound.as_dict()`` of its relaxation.
    nac
        Per structure, Born charges and dielectric tensor, instead of ``settings.nac``.
    progress
        Called with (index, displaced cells done, displaced cells).

    Yields
    ------
    Outcome
        Result as ``KappaResult``; blob ``kappa``: ``second_order (n, N, 3, 3)`` eV/Å² and
        ``third_order (n, N', N', 3, 3, 3)`` eV/Å³ force constants with their cells, and the
        phonons' ``frequencies``, ``gamma`` (THz), ``group_velocities``. ``failed`` with
        ``no_volume`` for slabs and molecules.

    Raises
    ------
    PetFlowsError
        phono3py is not installed.
    """
    settings = settings or ConductivitySettings()
    _need_phono3py()
    potential = potential.with_(dtype="float64")
    ready = specimens(
        structures,
        potential,
        inherited,
        require=partial(require_crystal, what="A thermal conductivity", cutoff=potential.cutoff),
        symprec=settings.symprec,
    )
    for specimen in ready:
        if isinstance(specimen, Outcome):
            yield specimen
            continue
        start = perf_counter()
        try:
            own = settings.nac if nac is None else nac[specimen.index]
            displaced = _displaced(specimen, potential, settings, own)
            outcome = _run(displaced, potential, settings, progress)
        except (StructureError, *LIBRARY_ERRORS) as error:
            outcome = specimen.failure(no_phonons(error))
        yield replace(outcome, wall_time=specimen.wall_time + perf_counter() - start)


def _need_phono3py() -> None:
    try:
        import phono3py  # noqa: F401
    except ImportError:
        raise PetFlowsError(
            "Thermal conductivities need phono3py, which is not installed; run "
            "pip install 'pet-flows[kappa]'."
        ) from None


def _displaced(
    specimen: Specimen,
    potential: Potential,
    settings: ConductivitySettings,
    nac: NonAnalytical | None,
) -> _Displaced:
    from phono3py import Phono3py

    if nac is not None:
        check_nac(nac, len(specimen.atoms))
    primitive, crystal = harmonic_crystal(specimen, potential, settings)
    small = harmonic(
        primitive_of(specimen.atoms),
        settings.displacement,
        settings.third_min_length,
        settings.third_max_atoms,
    )
    primitive.notes += tuple(
        f"Third order: {note}"
        for note in shortened(small, settings.third_min_length, settings.third_max_atoms)
    )
    phono3py = Phono3py(
        phonopy_atoms(crystal.primitive),
        supercell_matrix=small.matrix.T,
        primitive_matrix="P",
        phonon_supercell_matrix=crystal.matrix.T,
    )
    if nac is not None:
        phono3py.nac_params, notes = primitive_nac(nac, specimen.atoms, phono3py.primitive)
        primitive.notes += notes
    phono3py.generate_displacements(
        distance=settings.third_displacement, cutoff_pair_distance=settings.pair_cutoff
    )
    needed = _count(phono3py)
    if needed > settings.max_displacements:
        raise StructureError(
            "too_many_displacements",
            f"Third-order force constants need {needed} displaced cells, more than "
            f"{settings.max_displacements}: set pair_cutoff, or raise max_displacements.",
        )
    perfect = phono3py.supercell.positions
    displaced = [c for c in phono3py.supercells_with_displacements if c is not None]
    third = Atoms(
        numbers=phono3py.supercell.numbers,
        positions=perfect,
        cell=phono3py.supercell.cell,
        pbc=True,
    )
    systems = partial(displaced_systems, potential, primitive.bound, crystal.group)
    every = [
        *systems(crystal.supercell, crystal.matrix, crystal.displaced()),
        *systems(third, small.matrix, [c.positions for c in displaced]),
    ]
    # phono3py wraps nothing: a displaced atom is where it was but for its displacement
    shifts = np.array([c.positions - perfect for c in displaced])
    return _Displaced(primitive, crystal, phono3py, shifts, every)


def _count(phono3py: Phono3py) -> int:
    """Displaced cells, before any is made: without symmetry there are tens of thousands."""
    firsts: list[dict[str, Any]] = phono3py.dataset["first_atoms"]
    pairs = [pair for first in firsts for pair in first["second_atoms"]]
    return len(firsts) + sum(pair.get("included", True) for pair in pairs)


def _fit_third_order(phono3py: Phono3py, cutoff: float | None) -> None:
    """Least squares in symfc's basis.

    Raises
    ------
    StructureError
        The supercell folds all of them onto each other, or there are none.
    """
    options = None if cutoff is None else f"cutoff={cutoff}"
    try:
        phono3py.produce_fc3(fc_calculator="symfc", fc_calculator_options=options)
    except AssertionError:  # an empty basis
        phono3py.fc3 = None
    if phono3py.fc3 is None or np.abs(phono3py.fc3).max() < _VANISHING:
        raise StructureError(
            "no_third_order",
            "This supercell holds no third-order force constants; raise third_min_length.",
        )


def _run(
    displaced: _Displaced,
    potential: Potential,
    settings: ConductivitySettings,
    progress: Progress | None,
) -> Outcome:
    primitive, crystal, systems = displaced.primitive, displaced.crystal, displaced.systems
    results: list[Evaluation] = []
    step = max(1, BATCH_ATOMS // len(systems[-1]))
    for first in range(0, len(systems), step):
        for found in evaluate_each(potential.evaluator, systems[first : first + step]):
            if isinstance(found, StructureError):
                raise found
            results.append(found)
        if progress is not None:
            progress(primitive.index, len(results), len(systems))
    second = np.array([r.forces for r in results[: len(crystal.moved) + 1]])
    third = np.array([r.forces for r in results[len(crystal.moved) + 1 :]])
    residual = results[0].max_force
    warnings = []
    if residual > NOT_RELAXED:
        warnings.append(
            f"The structure is not relaxed: forces of {residual:.3f} eV/Å were subtracted."
        )
    phono3py = displaced.phono3py
    phono3py.fc2 = fit(crystal, second[1:], second[0])
    phono3py.dataset = {"displacements": displaced.shifts, "forces": third[1:] - third[0]}
    _fit_third_order(phono3py, settings.pair_cutoff)
    result, arrays = analyse(phono3py, settings)
    if result["has_imaginary_modes"]:
        warnings.append("Imaginary modes were left out: this is not the conductivity of a crystal.")
    return primitive.outcome(
        result={
            **result,
            "supercell_matrix": crystal.matrix.T.tolist(),
            "third_supercell_matrix": np.array(phono3py.supercell_matrix).tolist(),
            "n_displacements": len(systems) - 2,
            "residual_force": residual,
        },
        atoms=crystal.primitive,
        blobs={"kappa": arrays},
        n_evaluations=sum(r.n_evaluations for r in results),
        warnings=warnings,
        **largest_spreads(results),
    )
