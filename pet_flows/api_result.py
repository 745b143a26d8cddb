"""What a property gives in a script: typed values, the final structure, plots."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pet_flows.errors import PetFlowsError
from pet_flows.properties.property import PlotData, Property
from pet_flows.properties.registry import get_property
from pet_flows.properties.settings import PropertySettings

if TYPE_CHECKING:
    import numpy as np
    from ase import Atoms
    from matplotlib.figure import Figure
    from pymatgen.core import Molecule, Structure

    from pet_flows.models.spec import PotentialSpec
    from pet_flows.properties.outcome import Outcome
    from pet_flows.properties.result import Strict


@dataclass(frozen=True)
class PropertyResult:
    """What a property gave for one structure.

    Parameters
    ----------
    property
        Its name.
    state
        ``ok``, ``unconverged`` or ``failed``.
    result
        The property's result model, with units in its fields' descriptions; None where it failed
        before there was a whole one.
    reason, message
        Short code and a sentence, when not ``ok``.
    structure
        Final structure; a Molecule of what has no cell, None where there is none.
    arrays
        Large arrays by blob name, as a record's blobs.
    warnings
        What a person should know who uses the result.
    settings
        What was computed.
    potential
        Which potential it was.
    n_evaluations
        Model evaluations, rotations included.
    """

    property: str
    state: Literal["ok", "unconverged", "failed"]
    result: Strict | None
    reason: str | None
    message: str | None
    structure: Structure | Molecule | None
    arrays: Mapping[str, Mapping[str, np.ndarray]]
    warnings: tuple[str, ...]
    settings: PropertySettings
    potential: PotentialSpec
    n_evaluations: int
    formula: str
    inherited: Mapping[str, Any]
    """crystal reference and symmetry, taken over by what starts from this result"""

    def __getattr__(self, name: str) -> Any:
        """Fields of the result model: ``found.b0`` for ``found.result.b0``."""
        if name.startswith("_") or name in type(self).__dataclass_fields__:
            raise AttributeError(name)  # of an object that is only being made: copies, pickles
        if self.result is None or not hasattr(self.result, name):
            why = f" ({self.reason}: {self.message})" if self.message else ""
            raise AttributeError(f"The {self.property} of {self.formula} has no {name!r}{why}")
        return getattr(self.result, name)

    def to_dict(self) -> dict[str, Any]:
        """Everything but arrays, as plain JSON."""
        return {
            "property": self.property,
            "state": self.state,
            "reason": self.reason,
            "message": self.message,
            "formula": self.formula,
            "result": None if self.result is None else self.result.model_dump(mode="json"),
            "structure": None if self.structure is None else self.structure.as_dict(),
            "settings": self.settings.model_dump(mode="json"),
            "potential": self.potential.model_dump(mode="json"),
            "warnings": list(self.warnings),
            "n_evaluations": self.n_evaluations,
        }

    def plot(self, name: str | None = None, path: str | Path | None = None) -> Figure:
        """Draw the result.

        Parameters
        ----------
        name
            One of the property's plots; its first without one.
        path
            File to save it to (.png, .svg, .pdf).

        Raises
        ------
        PetFlowsError
            The property has no such plot, or there is nothing to draw.
        """
        from pet_flows.properties.figure import draw, save, title

        if self.result is None:
            raise PetFlowsError(
                f"The {self.property} of {self.formula} gave nothing to draw: {self.message}"
            )
        shown = PlotData(
            title=title(self.formula, None, Path(self.potential.model).name),
            result=self.result.model_dump(mode="json"),
            settings=self.settings.model_dump(mode="json"),
            arrays=self.arrays.__getitem__,
        )
        figure = draw(get_property(self.property), shown, name)
        if path is not None:
            save(figure, Path(path))
        return figure


def result_of(
    outcome: Outcome, declared: Property, settings: Any, potential: PotentialSpec, formula: str
) -> PropertyResult:
    """Result of an outcome."""
    from pydantic import ValidationError

    from pet_flows.records.plain import plain

    try:
        values = declared.result.model_validate(plain(outcome.result))
    except ValidationError:
        if outcome.state == "ok":
            raise
        values = None  # what failed or did not converge may have some of it only
    return PropertyResult(
        property=declared.name,
        state=outcome.state,
        result=values,
        reason=outcome.reason,
        message=outcome.message,
        structure=None if outcome.atoms is None else _final(outcome.atoms),
        arrays=outcome.blobs,
        warnings=tuple(outcome.warnings),
        settings=settings,
        potential=potential,
        n_evaluations=outcome.n_evaluations,
        formula=formula,
        inherited=outcome.inherited,
    )


def _final(atoms: Atoms) -> Structure | Molecule:
    from pymatgen.core import Molecule

    from pet_flows.geometry.electrons import electrons_of
    from pet_flows.records.structures import structure_of_atoms

    if atoms.cell.rank > 0:
        return structure_of_atoms(atoms)
    said = electrons_of(atoms.info)
    return Molecule(
        atoms.get_chemical_symbols(), atoms.positions, said["charge"],
        said["spin_multiplicity"], charge_spin_check=False,
    )  # fmt: skip
