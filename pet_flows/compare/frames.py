"""Errors of a potential on the frames of ab-initio molecular dynamics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms
from ase.units import GPa

from pet_flows.compare.documents import DAMAGE, Document, unreadable
from pet_flows.compare.shelf import Shelf
from pet_flows.errors import PetFlowsError
from pet_flows.models.resolve import ResolvedPotential, resolve
from pet_flows.models.spec import PotentialSpec
from pet_flows.properties.comparison import Value, distance

if TYPE_CHECKING:
    from pet_flows.engines.potential import Potential

#: begins the names of these values
PREFIX = "frames"


@dataclass
class FrameErrors:
    """What an evaluation of frames did.

    Parameters
    ----------
    evaluated, confirmed
        Pairs of a run and its reference: those that were, and those that had been before.
    n_frames
        That were evaluated.
    problems
        Id of a comparison → why the potential was not evaluated on its frames.
    """

    evaluated: int = 0
    confirmed: int = 0
    n_frames: int = 0
    problems: dict[str, str] = field(default_factory=dict)


def evaluate_frames(
    shelf: Shelf,
    campaigns: Sequence[str],
    most: int,
    *,
    models: Sequence[str] = (),
    device: str | None = None,
) -> FrameErrors:
    """Evaluate the potentials of ``md`` records on the frames of the references beside them.

    Each comparison gets ``frames_forces_mae`` and ``frames_forces_rmse`` (eV/Å, over the
    components), ``frames_energy_mae`` (eV/atom, after the mean difference, which is that of two
    zeros, is taken off), ``frames_stress_mae`` (GPa, over the six components) and the number of
    ``frames``. They stay as long as the reference does.

    Parameters
    ----------
    shelf
        With comparisons that are up to date.
    campaigns
        Their names.
    most
        Frames of each reference, evenly spaced.
    models
        Paths of checkpoints, for records whose potential is neither bundled nor of the hub; each
        is used for the records that were made with these weights.
    device
        Where it is evaluated; ``auto`` without it.
    """
    done = FrameErrors()
    potentials: dict[str, Potential | str] = {}
    for document in list(shelf.comparisons(campaigns)):
        if document["property"] != "md" or None in (document["record"], document["reference"]):
            continue
        if _is_there(document, most):
            done.confirmed += 1
            continue
        try:
            (ours,) = shelf.records([document["record"]], {})
            (theirs,) = shelf.references([document["reference"]])
            arrays = theirs.read_blob("trajectory")
        except DAMAGE as error:
            done.problems[document["_id"]] = unreadable(error)
            continue
        said = ours.record["potential"]
        if said["digest"] not in potentials:
            potentials[said["digest"]] = _potential(said, models, device)
        potential = potentials[said["digest"]]
        if isinstance(potential, str):
            done.problems[document["_id"]] = potential
            continue
        found = _errors(arrays, potential, most)
        done.evaluated += 1
        done.n_frames += found["n"]
        shelf.put([with_frames(document, found | {"of": _state(document)})])
    return done


def with_frames(document: Document, frames: Mapping[str, Any] | None) -> Document:
    """Comparison with the errors on frames among its values, and without any of before.

    Parameters
    ----------
    document
        Of ``pet_comparisons``.
    frames
        As an earlier comparison of the pair has them; those of a reference or potential that
        changed since are left out.
    """
    values = [v for v in document["values"] if not v["name"].startswith(PREFIX)]
    if frames is None or frames["of"] != _state(document):
        return {**document, "values": values, "frames": None}
    return {**document, "values": values + list(frames["values"]), "frames": dict(frames)}


def _state(document: Document) -> list[str]:
    """What errors on frames are of."""
    return [document["potential"]["digest"], str(document["reference_updated"])]


def _is_there(document: Document, most: int) -> bool:
    found = document.get("frames")
    return found is not None and found["of"] == _state(document) and found["most"] == most


def _potential(
    said: Mapping[str, Any], models: Sequence[str], device: str | None
) -> Potential | str:
    """Potential that records were made with, or why it cannot be had."""
    from pet_flows.engines.potential import get_potential

    kept: dict[str, Any] = {
        name: said.get(name) for name in ("sha256", "variant", "symmetrization", "dtype")
    }
    reason = ""
    for model in (*models, said["name"]):
        spec = PotentialSpec(model=model, device=device or "auto", **kept)
        try:
            found: ResolvedPotential = resolve(spec)
        except PetFlowsError as error:
            reason = str(error)
            continue
        return get_potential(found)
    return f"the weights of {said['name']} are not here ({reason}): name their file with --model"


def _errors(arrays: Mapping[str, np.ndarray], potential: Potential, most: int) -> dict[str, Any]:
    """Errors on evenly spaced frames of a ``trajectory`` blob."""
    from pet_flows.properties.static.static import static

    chosen = np.unique(np.linspace(0, len(arrays["positions"]) - 1, most).round().astype(int))
    frames = list(_frames(arrays, chosen))
    energies, forces, stresses = [], [], []
    for outcome in static(frames, potential):
        if outcome.state != "ok":
            continue
        n = chosen[outcome.index]
        result = outcome.result
        dft = float(arrays["potential"][n]) / len(arrays["numbers"])
        energies.append(result["energy_per_atom"] - dft)
        forces.append(outcome.blobs["static"]["forces"] - arrays["forces"][n])
        if result["stress"] is not None:
            stresses.append(np.array(result["stress"]) - arrays["stress"][n] / GPa)
    values = [Value(PREFIX, "", len(forces), len(arrays["positions"]), None)]
    if forces:
        wrong = np.array(forces)
        values += [
            distance(f"{PREFIX}_forces_mae", "eV/Å", float(np.abs(wrong).mean())),
            distance(f"{PREFIX}_forces_rmse", "eV/Å", float(np.sqrt((wrong**2).mean()))),
        ]
    if len(energies) > 1:
        apart = np.array(energies) - np.mean(energies)
        values.append(distance(f"{PREFIX}_energy_mae", "eV", float(np.abs(apart).mean())))
    if stresses and np.isfinite(stresses).all():
        six = np.array(stresses)[:, *np.triu_indices(3)]
        values.append(distance(f"{PREFIX}_stress_mae", "GPa", float(np.abs(six).mean())))
    return {"n": len(forces), "most": most, "values": [value.document() for value in values]}


def _frames(arrays: Mapping[str, np.ndarray], chosen: np.ndarray) -> Iterator[Atoms]:
    for n in chosen:
        yield Atoms(
            numbers=arrays["numbers"],
            positions=arrays["positions"][n],
            cell=arrays["cell"][n],
            pbc=arrays["pbc"],
        )
