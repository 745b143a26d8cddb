"""``ase:MODULE.CLASS(…)``: any ASE calculator, asked for one structure after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pet_flows.errors import PetFlowsError, StructureError
from pet_flows.families.calls import parse_call
from pet_flows.models.family import Family, Weights

if TYPE_CHECKING:
    import torch
    from ase import Atoms

    from pet_flows.engines.whole import Whole, WholeRaw
    from pet_flows.models.resolve import ResolvedPotential

FORM = "ase:MODULE.CLASS(name=value, ...)"
#: what calculators call their cutoff
CUTOFFS = ("cutoff", "r_max", "rc", "r_cut", "rcut", "rmax")
#: Å; of a calculator that says none, to tell slabs from crystals
USUAL_CUTOFF = 6.0


def find(which: str) -> Weights:
    """The calculator's class, not imported."""
    return parse_call(which, FORM).weights("ase")


def load(found: ResolvedPotential, device: torch.device) -> WholeRaw:
    """Make the calculator."""
    from ase.calculators.calculator import BaseCalculator

    from pet_flows.engines.foreign import process_as_it_is
    from pet_flows.engines.whole import WholeRaw

    refuse_choices(found)
    call = parse_call(found.spec.model.partition(":")[2], FORM)
    with process_as_it_is():
        calculator = call.make(BaseCalculator)
    return WholeRaw(
        OneByOne(calculator), _cutoff(calculator), 1, frozenset(range(1, 119)), is_invariant=False
    )


def refuse_choices(found: ResolvedPotential) -> None:
    """Refuse what only families with models of their own offer.

    Raises
    ------
    PetFlowsError
        A variant is given, or a dtype that nobody here can impose.
    """
    if found.spec.variant is not None:
        raise PetFlowsError(
            f"{found.name} has no variants (got {found.spec.variant}): leave --variant out, and "
            "give in brackets what it is made with."
        )
    if found.spec.dtype != "float64":
        raise PetFlowsError(
            f"{found.name} computes in a precision of its own, which {found.spec.dtype} would not "
            "change: leave dtype at float64, and give in brackets what it is made with."
        )


#: what may be memory or a device rather than the structure
AS_THEY_ARE = (StructureError, MemoryError, RuntimeError)


class OneByOne:
    """An ASE calculator.

    Parameters
    ----------
    calculator
        Gives energy and forces; stress where cells are strained.
    """

    def __init__(self, calculator: Any):
        self._calculator = calculator
        self._has_stress = "stress" in calculator.implemented_properties

    def __call__(self, structures: Sequence[Atoms], gradients: bool) -> list[Whole]:
        """What it says of structures, one after the other."""
        return [self._one(atoms, gradients) for atoms in structures]

    def _one(self, atoms: Atoms, gradients: bool) -> Whole:
        from pet_flows.engines.whole import Whole

        calculator = self._calculator
        stressed = gradients and bool(atoms.pbc.all())
        if stressed and not self._has_stress:
            raise StructureError(
                "no_stress",
                "This calculator gives no stress, which crystals need: use another potential.",
            )
        try:
            energy = float(calculator.get_property("energy", atoms))
            forces = np.array(calculator.get_property("forces", atoms)) if gradients else None
            stress = np.array(calculator.get_property("stress", atoms)) if stressed else None
        except Exception as error:  # calculators of others raise anything
            # or it would take the same structure for one that it knows, and calculate with what it
            # remembers of the one before
            calculator.atoms, calculator.results = None, {}
            if isinstance(error, AS_THEY_ARE) and not isinstance(error, NotImplementedError):
                raise
            said = f"{type(error).__name__}: {error}".rstrip(".")
            raise StructureError(
                "model_error", f"The model cannot do this structure ({said}); use another model."
            ) from error
        if stress is not None and stress.shape == (6,):
            xx, yy, zz, yz, xz, xy = stress
            stress = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
        return Whole(energy, forces, stress)


def _cutoff(calculator: Any) -> float:
    """Å."""
    parameters = getattr(calculator, "parameters", None) or {}
    for name in CUTOFFS:
        said = getattr(calculator, name, None) or parameters.get(name)
        if isinstance(said, int | float) and 0 < said < 100:
            return float(said)
    return USUAL_CUTOFF


FAMILY = Family(
    name="ase",
    needs=None,
    find=find,
    load=load,
    help="ase:MODULE.CLASS(...), such as ase:ase.calculators.emt.EMT(): any ASE calculator",
)
