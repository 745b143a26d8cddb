"""The front door: potentials and properties for scripts, without jobs, stores or records."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from pet_flows.api_result import PropertyResult, result_of
from pet_flows.errors import PetFlowsError
from pet_flows.properties.execution import Execution
from pet_flows.properties.property import Property
from pet_flows.properties.registry import get_property
from pet_flows.properties.settings import PropertySettings
from pet_flows.validate import validated

if TYPE_CHECKING:
    from os import PathLike

    from ase import Atoms
    from pymatgen.core import Molecule, Structure

    from pet_flows.engines.potential import Potential
    from pet_flows.models.spec import PotentialSpec
    from pet_flows.properties.outcome import Outcome

    OneStructure = Structure | Atoms


def load_potential(
    model: str | PathLike[str] | None = None,
    *,
    variant: str | None = None,
    symmetrization: str | None = None,
    dtype: str | None = None,
    device: str | None = None,
    trust: bool = False,
) -> Potential:
    """Load a potential once, to compute many properties with it.

    Parameters
    ----------
    model
        Bundled name, upet name, the path of a metatrain checkpoint or metatomic model, or another
        family's, such as ``sevenn:7net-0``; that of the user's settings without one (``pet-mvl``).
    variant
        Which of the levels of theory that the model knows, such as ``pbesol``.
    symmetrization
        ``crystal``, ``ecse``, ``none``, ``grid:icosahedral``, ... (docs: symmetrization).
    dtype
        ``float64`` or ``float32``.
    device
        ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
    trust
        Open the pickled checkpoint that ``model`` names, which can run any code.

    Raises
    ------
    PetFlowsError
        The model cannot be found, opened or used, or one of the options is wrong.

    Examples
    --------
    >>> potential = load_potential("pet-mvl")
    >>> potential.functional
    'PBE'
    """
    from pet_flows.engines.potential import get_potential
    from pet_flows.models.choose import with_settings

    wanted = {
        "variant": variant,
        "symmetrization": symmetrization,
        "dtype": dtype,
        "device": device,
    }
    spec = with_settings(model).with_(**{k: v for k, v in wanted.items() if v is not None})
    return get_potential(spec, trust=trust)


def compute(
    name: str,
    structures: OneStructure | PropertyResult | Iterable[OneStructure | PropertyResult],
    potential: Potential | PotentialSpec | str | None = None,
    settings: PropertySettings | Mapping[str, Any] | None = None,
    *,
    execution: Execution | Mapping[str, Any] | None = None,
    progress: Callable[[int, int, int], None] | None = None,
    **fields: Any,
) -> Any:
    """Compute a property of structures here and now.

    Parameters
    ----------
    name
        Of the property; ``pet_flows.relax(...)`` is ``compute("relax", ...)``, and so on.
    structures
        A pymatgen Structure, an ASE Atoms, an earlier `PropertyResult` (it starts from its
        final structure, in the same crystal frame), or several of these in any mixture.
    potential
        From :func:`load_potential`, or a model name.
    settings
        The property's settings model or a dict with some of its fields.
    execution
        `Execution` or a dict with some of its fields.
    progress
        Called with (index of the structure, done, total) in the property's own units.
    **fields
        Settings by name: ``eos(structure, potential, n_volumes=9)``.

    Returns
    -------
    PropertyResult or list of PropertyResult
        One for one, a list in the same order for several. A structure that cannot be computed
        gives a ``failed`` result, never an exception.

    Raises
    ------
    PetFlowsError
        Settings or potential are wrong, or something given is no structure.
    """
    from pet_flows.engines.potential import Potential, get_potential
    from pet_flows.models.choose import with_settings
    from pet_flows.properties.outcome import Outcome
    from pet_flows.symmetrization.spec import serving

    declared = get_property(name)
    physics = _physics(declared, settings, fields)
    options = validated(Execution, _set(execution), lambda place: f"{name}: ")
    loaded = potential
    if not isinstance(loaded, Potential):
        loaded = get_potential(with_settings(potential))  # type: ignore[arg-type]
    suited = serving(loaded.spec.symmetrization, declared.purpose(physics))
    loaded = loaded.with_(symmetrization=suited, dtype=declared.dtype)
    if options.chunk_atoms is not None:
        loaded = get_potential(loaded.resolved, chunk_atoms=options.chunk_atoms)
    single = not isinstance(structures, Sequence | Iterable) or _is_structure(structures)
    given: list[Any] = [structures] if single else list(structures)
    starts = [_start(one) for one in given]
    found: dict[int, PropertyResult] = {}

    def keep(place: int, outcome: Outcome) -> None:
        found[place] = result_of(outcome, declared, physics, loaded.spec, starts[place].formula)

    for place, start in enumerate(starts):
        if start.problem is not None:
            reason, message = start.problem
            keep(place, Outcome(index=0, state="failed", reason=reason, message=message))
    sound = [place for place in range(len(starts)) if place not in found]
    atoms = [starts[place].atoms for place in sound]
    inherited = [starts[place].inherited for place in sound]
    taken = {key: getattr(options, key) for key in declared.takes}
    run = declared.function()
    for outcome in run(atoms, loaded, physics, inherited, progress=progress, **taken):
        keep(sound[outcome.index], outcome)
    if len(found) < len(starts):
        raise PetFlowsError(
            f"The property {name} gave no result for {len(starts) - len(found)} of {len(starts)} "
            f"structures: report it to the authors of {name}."
        )
    return found[0] if single else [found[place] for place in range(len(starts))]


def function_of(name: str) -> Callable[..., Any]:
    """The function ``pet_flows.<name>`` of a property."""
    declared = get_property(name)
    found = partial(compute, name)
    found.__doc__ = (
        f"{declared.title[0].upper()}{declared.title[1:]} of structures: see `compute`.\n\n"
        f"Settings: {', '.join(declared.settings.model_fields)}."
    )
    return found


def _physics(
    declared: Property,
    settings: PropertySettings | Mapping[str, Any] | None,
    fields: Mapping[str, Any],
) -> Any:
    both = {**_set(settings), **fields}
    return validated(declared.settings, both, lambda place: f"{declared.name}: ")


def _set(given: Any) -> dict[str, Any]:
    """What was set of a model or a mapping."""
    if given is None:
        return {}
    if isinstance(given, PropertySettings):
        return given.model_dump(exclude_unset=True)
    if isinstance(given, Mapping):
        return dict(given)
    raise PetFlowsError(f"Settings must be a dict or a settings model (got {given!r}).")


def _is_structure(given: Any) -> bool:
    """Whether it is one structure: these are sequences of atoms too."""
    if isinstance(given, PropertyResult):
        return True
    return any(hasattr(given, name) for name in ("lattice", "cell", "sites"))


@dataclass(frozen=True)
class _Start:
    """What a calculation starts from."""

    formula: str
    atoms: Atoms | None = None
    inherited: dict[str, Any] | None = None
    problem: tuple[str, str] | None = None


def _start(given: Any) -> _Start:
    from ase import Atoms
    from pymatgen.core import Molecule, Structure

    from pet_flows.inputs.structure import as_input

    if isinstance(given, PropertyResult):
        if given.structure is None:
            why = f"The {given.property} it starts from is {given.state}: {given.message}"
            return _Start(given.formula, problem=(f"parent_{given.state}", why))
        found = _atoms(given.structure)
        return _Start(given.formula, found, dict(given.inherited))
    if isinstance(given, Atoms):
        return _Start(given.get_chemical_formula(mode="hill", empirical=True), given)
    if isinstance(given, Molecule):
        return _Start(given.composition.reduced_formula, _atoms(given))
    if isinstance(given, Structure):
        read, formula = as_input(given), given.composition.reduced_formula
        if read.problem is not None or read.structure is None:
            return _Start(formula, problem=read.problem)
        return _Start(formula, _atoms(read.structure))
    raise PetFlowsError(
        f"A {type(given).__name__} is not a structure: give a pymatgen Structure, an ASE Atoms, a "
        "result of pet_flows, or a list of these."
    )


def _atoms(given: Structure | Molecule) -> Atoms:
    """ASE's atoms of a structure or molecule, with charge and spin."""
    from pymatgen.core import Molecule
    from pymatgen.io.ase import AseAtomsAdaptor

    from pet_flows.records.structures import atoms_of_structure

    if not isinstance(given, Molecule):
        return atoms_of_structure(given)
    found = AseAtomsAdaptor.get_atoms(given, msonable=False)
    found.info = {"charge": given.charge, "spin_multiplicity": given.spin_multiplicity}
    return found
