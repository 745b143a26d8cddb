"""A symmetrized model as one file that needs no ``pet_flows``: any metatomic engine runs it."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from ase import Atoms

from pet_flows.crystallography.standard import standard_cell
from pet_flows.engines.evaluator import CHUNK_ATOMS
from pet_flows.engines.metatomic import MetatomicRaw, energy_key
from pet_flows.engines.pet import PETRaw, unwrapped
from pet_flows.errors import PetFlowsError
from pet_flows.models.load import load_model, refuse_other_frames
from pet_flows.models.resolve import ResolvedPotential, resolve
from pet_flows.models.spec import PotentialSpec
from pet_flows.symmetrization.crystal import Crystal
from pet_flows.symmetrization.crystal_batch import LIMIT
from pet_flows.symmetrization.ecse import Ecse
from pet_flows.symmetrization.ecse_axial import ANGLES, BETA, ON_AXIS
from pet_flows.symmetrization.ecse_frames import BENT, CONSTANTS, FADE, LEAST, NEAR
from pet_flows.symmetrization.ecse_graph import NEGLIGIBLE
from pet_flows.symmetrization.grid import Grid
from pet_flows.symmetrization.strategies import parse_strategy
from pet_flows.symmetrization.strategy import Strategy

if TYPE_CHECKING:
    from metatomic.torch import AtomisticModel, ModelMetadata, NeighborListOptions

#: devices with double precision, in which rotations are made
DEVICES = ("cpu", "cuda")


def export_model(
    potential: ResolvedPotential | PotentialSpec | str,
    path: str | Path,
    reference_atoms: Atoms | None = None,
    chunk_atoms: int | None = None,
    trust: bool = False,
) -> Path:
    """Write a potential as a metatomic model file.

    The file gives energies by atom or by system; engines take forces and stress from its
    gradient, with memory bounded by ``chunk_atoms``, not by the number of rotations. First
    derivatives only.

    Parameters
    ----------
    potential
        Model, symmetrization and dtype; its device plays no part.
    path
        File to write, ending in ``.pt``.
    reference_atoms
        For ``crystal``: the crystal that goes into the file. It then serves cells that are
        integer multiples of that lattice, strained, displaced or with defects.
    chunk_atoms
        Atoms in one call of the model; by default as in :mod:`pet_flows.engines.evaluator`.
    trust
        Open a pickled checkpoint of unknown hash.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    PetFlowsError
        The model cannot be used, the symmetrization cannot be exported, or the path is no
        ``.pt`` file in an existing folder.
    """
    path = Path(path)
    if path.suffix != ".pt":
        raise PetFlowsError(
            f"The file of a metatomic model must end in .pt (got {path.name}): write to "
            f"{path.with_suffix('.pt')}."
        )
    if not path.parent.is_dir():
        raise PetFlowsError(
            f"There is no folder {path.parent} to write {path.name} into: make it first."
        )
    # a copy on the CPU: saving moves the module it is given
    found = resolve(potential, trust=trust).with_(device="cpu")
    strategy = parse_strategy(found.spec.symmetrization)
    model = load_model(found)
    refuse_other_frames(found, model)
    exported = symmetrized_model(model, strategy, reference_atoms, chunk_atoms, found)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript's own deprecation
        exported.save(str(path))
    return path


def symmetrized_model(
    model: AtomisticModel,
    strategy: Strategy,
    reference_atoms: Atoms | None = None,
    chunk_atoms: int | None = None,
    potential: ResolvedPotential | None = None,
) -> AtomisticModel:
    """Metatomic model that symmetrizes another one; see :func:`export_model`."""
    from metatomic.torch import AtomisticModel, ModelCapabilities, ModelOutput

    from pet_flows.export.module import SymmetrizedModule

    # the same choice as in pet_flows.engines.potential: it decides the cutoff that ecse uses;
    # MetatomicRaw refuses what cannot be symmetrized
    if getattr(unwrapped(model.module), "long_range", False):
        raise PetFlowsError(
            "A model with long-range interactions reads its neighbours' distances in the order of "
            "atoms, which other engines do not keep: use it here, or export one without them."
        )
    variant = None if potential is None else potential.spec.variant
    fast = PETRaw.supports(model, variant)
    raw = PETRaw(model, variant) if fast else MetatomicRaw(model, variant)
    strategy = strategy.configure(raw.cutoff, raw.n_layers)
    old = model.capabilities()
    key = energy_key(model, variant)
    lists = model.requested_neighbor_lists()
    reach = old.interaction_range
    extra: dict[str, str] = {}
    if isinstance(strategy, Grid):
        frames = _grid_frames(strategy)
    elif isinstance(strategy, Crystal):
        frames, extra = _crystal_frames(strategy, reference_atoms, old.length_unit)
        reach = float("inf")
    else:
        assert isinstance(strategy, Ecse)
        frames, lists, hops = _ecse_frames(strategy, lists, old.length_unit)
        reach = max(reach, hops * raw.cutoff / to_angstrom(old.length_unit))
    chunks = [chunk_atoms or CHUNK_ATOMS[d] for d in DEVICES]
    module = SymmetrizedModule(
        model.module, frames, key, old.outputs[key].unit, lists,
        (chunks[0], chunks[1]), model.requested_inputs(use_new_names=True),
    )  # fmt: skip
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            scripted = torch.jit.script(module.eval())
    except RuntimeError as error:
        lines = [line for line in str(error).splitlines() if line.strip()]
        raise PetFlowsError(
            f"This model cannot be compiled to TorchScript, so it cannot be exported ({lines[0]}): "
            "use it through pet_flows instead."
        ) from None
    capabilities = ModelCapabilities(
        outputs={
            key: ModelOutput(
                unit=old.outputs[key].unit,
                sample_kind="atom",
                description=f"energy symmetrized by {strategy.spec}",
            )
        },
        atomic_types=old.atomic_types,
        interaction_range=reach,
        length_unit=old.length_unit,
        supported_devices=[d for d in old.supported_devices if d in DEVICES],
        dtype=old.dtype,
    )
    return AtomisticModel(
        scripted, _metadata(model.metadata(), strategy, extra, potential), capabilities
    )


def to_angstrom(length_unit: str) -> float:
    """Å in a length unit."""
    from metatomic.torch import unit_conversion_factor

    return float(unit_conversion_factor(length_unit, "angstrom"))


def _grid_frames(strategy: Grid) -> torch.nn.Module:
    from pet_flows.export.grid import GridFrames

    nothing = torch.zeros(3, 3, dtype=torch.float64)
    plan = strategy.bind(Atoms("H")).plan(nothing[:1], nothing)
    return GridFrames(plan.rotations, plan.weights[:, 0])


def _ecse_frames(
    strategy: Ecse, lists: list[NeighborListOptions], length_unit: str
) -> tuple[torch.nn.Module, list[NeighborListOptions], float]:
    """Frames, the neighbour lists they and the model need, and how far, in cutoffs, they look."""
    from metatomic.torch import NeighborListOptions

    from pet_flows.export.ecse import EcseFrames
    from pet_flows.export.ragged import Constants

    assert strategy.cutoff is not None
    unit = to_angstrom(length_unit)
    full = [n for n, o in enumerate(lists)
            if o.full_list and abs(o.cutoff * unit - strategy.cutoff) < 1e-9]  # fmt: skip
    if not full:
        lists = [*lists, NeighborListOptions(strategy.cutoff / unit, full_list=True, strict=True)]
        full = [len(lists) - 1]
    own = CONSTANTS[strategy.scope]
    handed = Constants(
        own.beta, own.kappa, own.ramp, FADE, NEAR, BENT, LEAST, NEGLIGIBLE / own.kappa,
        BETA, ANGLES, ON_AXIS,
    )  # fmt: skip
    frames = EcseFrames(
        ecse_partners(strategy), strategy.scope, full[0], unit, strategy.cutoff,
        strategy.n_layers, handed,
    )  # fmt: skip
    # frames around an atom within the cutoff, made of neighbours of that; axial ones hop on
    hops = {"atom": 1, "local": 2, "structure": float("inf")}[strategy.scope]
    return frames, lists, max(hops, strategy.n_layers)


def ecse_partners(strategy: Ecse) -> torch.Tensor:
    """(p, 3, 3) what follows each frame: mirror partners and the group's rotations."""
    return strategy.bind(Atoms("H")).partners


def _crystal_frames(
    strategy: Crystal, atoms: Atoms | None, length_unit: str
) -> tuple[torch.nn.Module, dict[str, str]]:
    """Frames, and what the metadata should hold."""
    from pet_flows.export.crystal import CrystalFrames

    if atoms is None:
        raise PetFlowsError(
            "The crystal symmetrization is exported for one crystal: give it (--reference, or "
            "reference_atoms in Python)."
        )
    bound = strategy.bind(atoms)
    oriented = strategy.oriented
    reference = bound.reference
    own = reference.holohedry[:1] if oriented else reference.holohedry
    products = (own[:, None] @ bound.following_group[None]).reshape(-1, 3, 3)
    bases = [bound.setting, np.eye(3), _conventional(reference.h0)]
    copies = abs(round(np.linalg.det(bound.setting)))
    frames = CrystalFrames(
        torch.tensor(reference.h0 / to_angstrom(length_unit)),
        torch.tensor(np.array(bases, dtype=float)),
        torch.tensor(products),
        n_primitive=max(1, round(len(atoms) / copies)),
        strict=oriented,
        limit=LIMIT,
    )
    return frames, {
        "crystal_reference": json.dumps(reference.as_dict()),
        "crystal_reference_digest": reference.digest,
    }


def _conventional(h0: np.ndarray) -> np.ndarray:
    """(3, 3) int, rows of the conventional cell of a lattice in terms of its basis."""
    found = standard_cell(h0, np.zeros((1, 3)), np.array([1]), 1e-5)
    if found is None:
        return np.eye(3)
    integer = np.rint(found.basis)
    return integer if np.abs(found.basis - integer).max() < 1e-3 else np.eye(3)


def _metadata(
    old: ModelMetadata,
    strategy: Strategy,
    extra: dict[str, str],
    potential: ResolvedPotential | None,
) -> ModelMetadata:
    """Those of the model, with what was done to it."""
    from metatomic.torch import ModelMetadata

    from pet_flows import __version__

    own = {
        "symmetrization": strategy.spec,
        "pet_flows_version": __version__,
        "derivatives": "first only",
        **extra,
    }
    if potential is not None:
        own["weights_sha256"] = potential.file.sha256
    # what is exported can be shown in any orientation, whatever the model inside was trained on
    kept = {name: value for name, value in dict(old.extra).items() if name != "frames"}
    name = old.name or (potential.name if potential is not None else "model")
    sentence = (
        f"Averaged over orientations by pet_flows ({strategy.spec}). First derivatives only: "
        "forces and stress are right, derivatives of these are not. In energies by atom only "
        "the gradient of their sum has a meaning."
    )
    return ModelMetadata(
        name=f"{name} [{strategy.spec}]",
        description=f"{old.description}\n\n{sentence}".strip(),
        authors=old.authors,
        references=old.references,
        extra={**kept, **own},
    )
