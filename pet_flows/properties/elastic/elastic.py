"""Elastic tensor: stress against strain, all strains of all structures in one stream."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import numpy as np
from ase import Atoms
from ase.units import GPa
from pymatgen.io.ase import AseAtomsAdaptor

from pet_flows.engines.evaluation import Evaluation
from pet_flows.engines.potential import Potential
from pet_flows.errors import StructureError
from pet_flows.properties.elastic.axes import in_ieee_axes
from pet_flows.properties.elastic.declaration import ElasticSettings
from pet_flows.properties.elastic.ions import refuse_falling
from pet_flows.properties.elastic.strains import StrainPlan, plan
from pet_flows.properties.elastic.tensor import Moduli, fit, mandel, mandel_rotations, moduli, voigt
from pet_flows.properties.outcome import Outcome, Progress, spent
from pet_flows.properties.prepare import FIXED_CELL, require_crystal
from pet_flows.properties.relax.declaration import RelaxSettings
from pet_flows.properties.relax.optimize import Descent, Optimization, unconverged
from pet_flows.properties.specimen import Specimen, specimens

#: GPa; a residual stress beyond it changes the constants by as much and is worth a warning
STRESSED = 0.1
#: of the largest constant; a misfit of the stresses, or a bend of them, worth a warning
ROUGH, BENT = 0.01, 0.01

#: which strain, and its signed magnitude; None for the crystal without strain
type _Strain = tuple[int, float] | None


@dataclass(eq=False)
class _Crystal:
    """One structure while its strained cells are computed."""

    specimen: Specimen
    plan: StrainPlan
    points: dict[_Strain, Descent[_Cell]] = field(default_factory=dict)
    waiting: set[_Strain] = field(default_factory=set)
    """strains that are asked for"""

    @property
    def error(self) -> StructureError | None:
        """Of the first point that failed."""
        return next((p.error for p in self.points.values() if p.error is not None), None)

    def failure(self, error: StructureError) -> Outcome:
        """Failed outcome, with what it has cost."""
        return self.specimen.failure(error, **spent(self.points.values()))


#: a crystal and its strain
type _Cell = tuple[_Crystal, _Strain]


def elastic(
    structures: Sequence[Atoms],
    potential: Potential,
    settings: ElasticSettings | None = None,
    inherited: Sequence[dict[str, Any] | None] | None = None,
    *,
    progress: Progress | None = None,
) -> Iterator[Outcome]:
    """Elastic tensors of a batch of relaxed crystals.

    They are derivatives of the Cauchy stress with respect to strain, ``x → x (1 + ε)``, by central
    differences, at the cell that is given. Where that is free of stress they are *the* elastic
    constants; under a hydrostatic pressure they are Wallace's stress-strain coefficients, which
    decide its stability. Ions relax in each strained cell under the symmetry that the strain
    leaves; where that leaves them no freedom the cell costs a single point. Only as many strains
    are computed as the point group asks for, and the tensor has its symmetry to round-off. One
    crystal reference serves all strains.

    Parameters
    ----------
    structures, inherited
        As for :func:`~pet_flows.properties.relax.relax.relax`; structures should be relaxed, cell
        too.
    potential
        Evaluated in float64 whatever its own dtype.
    settings
        Strains, ions, symmetry.
    progress
        Called with (index, cells done, cells known to be needed).

    Yields
    ------
    Outcome
        Result as :class:`.declaration.ElasticResult`; tensors in Voigt's notation, GPa, ``tensor``
        in the axes of the outcome's ``atoms``. An unstable crystal is a result. ``unconverged`` if
        the ions of a cell did not relax (``steps_exhausted``); ``failed`` with ``not_relaxed`` if
        the stress of the crystal is larger than ``max_stress``, with ``unstable_ions`` if those of
        strained cells fall into another structure, with ``no_volume`` for slabs and molecules.
    """
    settings = settings or ElasticSettings()
    potential = potential.with_(dtype="float64")
    optimization = Optimization[_Cell](potential.evaluator, _criteria(settings), "ions")
    ready = specimens(
        structures,
        potential,
        inherited,
        require=partial(require_crystal, what="An elastic tensor", cutoff=potential.cutoff),
        symprec=settings.symprec if settings.fix_symmetry else None,
    )
    for specimen in ready:
        if isinstance(specimen, Outcome):
            yield specimen
            continue
        symprec = settings.symprec if specimen.group is None else FIXED_CELL
        try:
            crystal = _Crystal(specimen, plan(specimen.atoms, specimen.group, symprec))
        except (np.linalg.LinAlgError, ArithmeticError, AssertionError, ValueError) as error:
            wrong = StructureError(
                "not_prepared",
                f"No strains fit this crystal ({error}); check its cell, or try another symprec.",
            )
            yield specimen.failure(wrong)
            continue
        crystal.waiting.add(None)
        optimization.add((crystal, None), specimen.system, specimen.group)
    for descent in optimization:
        crystal, strain = descent.owner
        crystal.waiting.discard(strain)
        crystal.points[strain] = descent
        if strain is None and descent.error is None:
            stress = _largest(_stress(descent.last))
            if stress > settings.max_stress:
                yield crystal.failure(_not_relaxed(stress, settings))
                continue
            _ask(optimization, crystal, settings)
        if progress is not None:
            done = len(crystal.points)
            progress(crystal.specimen.index, done, done + len(crystal.waiting))
        if not crystal.waiting:
            broken = crystal.error or _falling(crystal, settings)
            yield crystal.failure(broken) if broken else _outcome(crystal, settings)


def _criteria(settings: ElasticSettings) -> RelaxSettings:
    """When the ions of a strained cell are done."""
    criteria = RelaxSettings(
        relax_cell=False, fmax=settings.fmax, steps=settings.steps, optimizer=settings.optimizer
    )
    # clamped ions take no step: each cell leaves after its one evaluation
    return criteria if settings.relax_ions else criteria.model_copy(update={"steps": 0})


def _ask(optimization: Optimization[_Cell], crystal: _Crystal, settings: ElasticSettings) -> None:
    """Queue the strained cells, each starting from the relaxed ions of the unstrained one."""
    start = crystal.points[None].last.system
    for n, state in enumerate(crystal.plan.states):
        for sign in state.signs:
            for magnitude in settings.strain_magnitudes:
                strain = (n, sign * magnitude)
                system = start.strained(state.deformation(sign * magnitude))
                crystal.waiting.add(strain)
                optimization.add((crystal, strain), system, state.group)


def _stress(evaluation: Evaluation) -> np.ndarray:
    """(3, 3) GPa."""
    if evaluation.stress is None:
        raise StructureError("no_stress", "The model gives no stress of this cell; use another.")
    return evaluation.stress / GPa


def _largest(stress: np.ndarray) -> float:
    """Largest principal stress, whatever its sign."""
    return float(np.abs(np.linalg.eigvalsh(stress)).max())


def _not_relaxed(stress: float, settings: ElasticSettings) -> StructureError:
    return StructureError(
        "not_relaxed",
        f"The crystal is under a stress of {stress:.2g} GPa, more than max_stress "
        f"({settings.max_stress:g} GPa), and elastic constants are those of a crystal without; "
        "relax its cell first, or raise max_stress.",
    )


def _falling(crystal: _Crystal, settings: ElasticSettings) -> StructureError | None:
    """Of ions that do not follow the strains."""
    start = crystal.points[None].last.system
    ways = {}
    for strain, point in crystal.points.items():
        if strain is not None and point.converged:
            n, magnitude = strain
            affine = start.strained(crystal.plan.states[n].deformation(magnitude))
            ways[strain] = point.last.system.positions - affine.positions
    try:
        refuse_falling(ways, settings.strain_magnitudes, settings.fmax)
    except StructureError as error:
        return error
    return None


def _slopes(crystal: _Crystal, magnitudes: Sequence[float]) -> np.ndarray:
    """``(s, 6)`` Mandel, GPa: derivative of the stress along each strain.

    Central differences over all magnitudes h: the value at zero of the polynomial in h² through
    ``(σ(h) − σ(−h)) / 2h`` (Richardson's extrapolation), of order 2 n for n magnitudes.
    """
    squares = np.square(magnitudes)
    slopes = np.zeros((len(crystal.plan.states), 6))
    for n, state in enumerate(crystal.plan.states):
        for k, h in enumerate(magnitudes):
            others = np.delete(squares, k)
            weight = np.prod(others / (others - squares[k]))
            ahead = mandel(_stress(crystal.points[n, h].last))
            if state.mirror is None:
                behind = mandel(_stress(crystal.points[n, -h].last))
            else:
                behind = mandel_rotations(state.mirror[None])[0] @ ahead
            slopes[n] += weight * (ahead - behind) / (2 * h)
    return slopes


def _outcome(crystal: _Crystal, settings: ElasticSettings) -> Outcome:
    plan, points = crystal.plan, crystal.points
    magnitudes = settings.strain_magnitudes
    tensor, residual = fit(plan.strains, _slopes(crystal, magnitudes), plan.basis)
    bend = None
    if len(magnitudes) > 1:
        fewer, _ = fit(plan.strains, _slopes(crystal, magnitudes[:-1]), plan.basis)
        bend = float(np.abs(voigt(tensor - fewer)).max())
    reference = points[None].last
    atoms = reference.system.atoms
    found = moduli(tensor, AseAtomsAdaptor.get_structure(atoms))
    stress = _largest(_stress(reference))
    relaxed = settings.relax_ions
    return crystal.specimen.outcome(
        result={
            "tensor": voigt(tensor).tolist(),
            "tensor_ieee": voigt(in_ieee_axes(tensor, plan.frames)).tolist(),
            **asdict(found),
            "residual": residual,
            "nonlinearity": bend,
            "residual_stress": stress,
            "ions_relaxed": relaxed,
            "n_strains": len(points) - 1,
        },
        atoms=atoms,
        energy_spread=reference.energy_spread,
        force_spread=reference.force_spread,
        warnings=_doubts(found, tensor, residual, bend, stress),
        **(unconverged(points.values(), "strained cells", settings.steps) if relaxed else {}),
        **spent(points.values()),
    )


def _doubts(
    found: Moduli, tensor: np.ndarray, residual: float, bend: float | None, stress: float
) -> Iterator[str]:
    """What a person should know about a tensor."""
    largest = float(np.abs(tensor).max())
    if stress > STRESSED:
        yield (
            f"The crystal is under a stress of {stress:.2f} GPa: these are derivatives of the "
            "stress there, not the elastic constants of a crystal without; relax its cell first."
        )
    if residual > ROUGH * largest:
        yield (
            f"The stresses of different strains disagree by {residual:.1f} GPa with any tensor of "
            "this symmetry."
        )
    if bend is not None and bend > BENT * largest:
        yield (
            f"The stress bends: the largest strain alone changes a constant by {bend:.1f} GPa; "
            "smaller strain_magnitudes may be needed."
        )
    if not found.stable:
        yield (
            f"The crystal is unstable against a homogeneous strain (smallest eigenvalue "
            f"{found.min_eigenvalue:.1f} GPa)."
        )
