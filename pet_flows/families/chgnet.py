"""``chgnet:0.3.0``, ``chgnet:FILE``: CHGNet, with energies by atom and in either precision.

Its graph of bonds is made here of our neighbours, for all copies at once: every ordered pair of
different bonds shorter than its bond cutoff that leave the same atom is an angle.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pet_flows.errors import PetFlowsError
from pet_flows.geometry.ragged import rows_of, starts_of
from pet_flows.models.family import Family, Weights
from pet_flows.models.installed import folder_of

if TYPE_CHECKING:
    import torch

    from pet_flows.engines.edges import EdgeRaw, Edges
    from pet_flows.models.resolve import ResolvedPotential

#: in the package
BUNDLED = ("0.3.0", "0.2.0", "r2scan")
_MPTRJ: dict[str, Any] = {
    "functional": "PBE", "run_type": "GGA_GGA+U", "u": True, "spin": True,
    "pseudopotentials": "VASP PBE of the Materials Project", "training_data": "MPtrj",
}  # fmt: skip
_R2SCAN: dict[str, Any] = {
    "functional": "r2SCAN", "run_type": "r2SCAN", "u": False, "spin": True,
    "training_data": "MPtrj, then MP-r2SCAN",
}  # fmt: skip


def find(which: str) -> Weights:
    """Checkpoint of a name, or of a file."""
    if which in BUNDLED:
        files = sorted((folder_of("chgnet") / "pretrained" / which).glob("*.pth.tar"))
        if not files:
            raise PetFlowsError(f"The installed chgnet has no weights {which}: upgrade chgnet.")
        return Weights(f"chgnet-{which}", f"chgnet:{which}", files[0], trusted=True)
    path = Path(which).expanduser()
    if not path.is_file():
        raise PetFlowsError(
            f"CHGNet has no model {which!r} in its package, and there is no such file: choose "
            f"{', '.join(BUNDLED)}, or give the path of a checkpoint."
        )
    return Weights(path.name.split(".")[0], f"chgnet:{path.resolve()}", path, trusted=False)


def load(found: ResolvedPotential, device: torch.device) -> EdgeRaw:
    """The model of a checkpoint."""
    from pet_flows.engines.edges import EdgeRaw
    from pet_flows.engines.foreign import process_as_it_is
    from pet_flows.models.load import DTYPES

    if found.spec.variant is not None:
        raise PetFlowsError(
            f"{found.name} has no variants (got {found.spec.variant}): leave --variant out."
        )
    with process_as_it_is():
        import torch
        from chgnet.model import CHGNet

        try:
            kept = torch.load(found.file.path, map_location="cpu", weights_only=False)
            # as CHGNet.load does: 0.2.0 was trained with a bias in its last layer
            more = {"mlp_out_bias": True} if found.name == "chgnet-0.2.0" else {}
            model = CHGNet.from_dict(kept["model"], **{"mlp_out_bias": False, **more})
        except Exception as error:  # unpickling fails in as many ways as there are damaged files
            raise PetFlowsError(
                f"{found.file.path} cannot be read as a checkpoint of CHGNet "
                f"({type(error).__name__}: {error}): download or copy it again."
            ) from None
    if not model.mlp_first:
        raise PetFlowsError(
            f"{found.name} reads energies out of whole crystals, not atoms: use a CHGNet made "
            "with mlp_first=True."
        )
    dtype = DTYPES[found.spec.dtype]
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    return EdgeRaw(
        AtomicEnergies(model.to(device, dtype).eval()),
        float(model.graph_converter.atom_graph_cutoff), int(model.n_conv), frozenset(range(1, 95)),
        dtype, device,
    )  # fmt: skip


class AtomicEnergies:
    """A CHGNet, asked for its energies by atom.

    Parameters
    ----------
    model
        In its dtype, on its device.
    """

    def __init__(self, model: Any):
        self._model = model
        self._bond_cutoff = float(model.graph_converter.bond_graph_cutoff)
        self._shifts = (
            next(model.parameters()).new_zeros(94) if model.composition_model is None
            else model.composition_model.fc.weight[0]
        )  # fmt: skip

    def __call__(self, edges: Edges) -> torch.Tensor:
        """``(R,)`` eV."""
        import torch
        from chgnet.model.model import BatchedGraph

        model, device = self._model, edges.vectors.device
        undirected, one_way = _undirected(edges)
        lengths = edges.vectors.norm(dim=1)
        units = -edges.vectors / lengths[:, None]  # from neighbour to centre, as there
        encoder = model.bond_basis_expansion
        short = (lengths < self._bond_cutoff).cpu().numpy()
        angles = _angles(edges.first.cpu().numpy(), short)
        left, right = (torch.from_numpy(each).to(device) for each in angles)
        bonds = torch.from_numpy(undirected).to(device)
        kept = lengths[torch.from_numpy(one_way).to(device)]
        graph = BatchedGraph(
            atomic_numbers=edges.numbers,
            bond_bases_ag=encoder.rbf_expansion_ag(kept),
            bond_bases_bg=encoder.rbf_expansion_bg(kept),
            angle_bases=model.angle_basis_expansion(units[left], units[right]),
            batched_atom_graph=torch.stack([edges.first, edges.second], 1),
            batched_bond_graph=torch.stack([edges.first[left], bonds[left], bonds[right]], 1),
            atom_owners=edges.copy.int(),
            directed2undirected=bonds,
            atom_positions=[],
            strains=[],
            volumes=[],
        )
        found = model._compute(graph, return_site_energies=True)["site_energies"]
        energies: torch.Tensor = torch.cat(list(found)) + self._shifts[edges.numbers - 1]
        return energies


def _undirected(edges: Edges) -> tuple[np.ndarray, np.ndarray]:
    """Bond ``(p,)`` of each edge, the same for its reverse; and ``(p/2,)`` one edge of each."""
    first, second, shift = (each.cpu().numpy() for each in (edges.first, edges.second, edges.shift))
    rows = np.concatenate([(second - first)[:, None], shift], 1)
    leading = rows[np.arange(len(rows)), (rows != 0).argmax(1)]
    back = leading < 0
    start, end = np.where(back, second, first), np.where(back, first, second)
    named = np.concatenate([np.stack([start, end], 1), np.where(back[:, None], -shift, shift)], 1)
    _, one_way, bond = np.unique(named, axis=0, return_index=True, return_inverse=True)
    return bond.reshape(-1), one_way


def _angles(first: np.ndarray, short: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ordered pairs ``(a,)``, ``(a,)`` of different short edges that leave the same atom."""
    near = np.nonzero(short)[0]
    near = near[np.argsort(first[near], kind="stable")]
    if not len(near):
        return near, near
    degree = np.bincount(first[near])
    start = starts_of(degree)[first[near]]
    counts = degree[first[near]]
    left = np.repeat(np.arange(len(near)), counts)
    right = rows_of(start, counts)
    different = left != right
    return near[left[different]], near[right[different]]


FAMILY = Family(
    name="chgnet",
    needs="chgnet",
    find=find,
    load=load,
    help="chgnet:0.3.0 (or 0.2.0, r2scan), chgnet:FILE: CHGNet",
    cards={"chgnet-0.3.0": _MPTRJ, "chgnet-0.2.0": _MPTRJ, "chgnet-r2scan": _R2SCAN},
)
