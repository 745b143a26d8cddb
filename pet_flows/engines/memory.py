"""How much memory a model call needs, and how much there is.

A device that is full says so, and the batch is halved. A computer's own memory does not: Linux
promises more than there is and kills the process that believes it. What a call needs is therefore
known beforehand: what autograd keeps grows with the number of edges (atoms × neighbours), and how
much that is for one edge is measured once per model.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from weakref import WeakKeyDictionary

import numpy as np
import torch

from pet_flows.engines.graphs import Graphs
from pet_flows.engines.raw import Copies, RawModel
from pet_flows.engines.surroundings import graph_of
from pet_flows.errors import StructureError

#: part of the free memory that a chunk of many copies may take, and one copy alone
SHARE, ALONE = 0.5, 0.9
#: peak of a model call over what autograd keeps of it where atoms have 50 neighbours, measured at
#: 1.4 to 1.9; 2.9 with 150, because attention among neighbours takes more for each of many
PEAK = 3.0
#: bytes of a neighbour list for each pair in it, and while it is made
PER_PAIR = 100.0
#: pairs that are never too many, so that no file need be read
FEW = 1e5
#: bytes that no computer has
MOST = 1e15

_PER_EDGE: WeakKeyDictionary[RawModel, float] = WeakKeyDictionary()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory has run out: PyTorch says it with several types, TorchScript in its text."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and (
        "out of memory" in text or "can't allocate memory" in text or "not enough memory" in text
    )


def free_memory(device: torch.device) -> float:
    """Bytes that can still be used on a device."""
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return float(torch.cuda.mem_get_info(device)[0] + unused)
    return min(_available(), left_in_control_groups())


class Memory:
    """What a model may be given at once.

    Parameters
    ----------
    raw
        The model.
    limit
        Bytes that calls may use; what is free on its device without it.
    """

    def __init__(self, raw: RawModel, limit: float | None = None):
        self._raw = raw
        self._limit = limit

    def free(self) -> float:
        """Bytes that calls may use now."""
        return free_memory(self._raw.device) if self._limit is None else self._limit

    def capacity(self, graphs: Graphs) -> int:
        """Atoms, copies included, that one call over such structures may hold.

        Raises
        ------
        StructureError
            ``out_of_memory``: one copy of one of them is too much for this computer. A device is
            asked all the same, because it can say no.
        """
        free, each = self.free(), bytes_per_edge(self._raw)
        needed = each * graphs.sizes * graphs.widths
        most = int(needed.argmax())
        if self._raw.device.type == "cpu" and needed[most] > ALONE * free:
            raise too_large(int(graphs.sizes[most]), float(needed[most]), free)
        widest = int(graphs.widths.max())
        return max(1, int(SHARE * min(free, MOST) / max(each * widest, 1.0)))

    def refuse_lists(self, sizes: np.ndarray, cells: np.ndarray, pbc: np.ndarray) -> None:
        """Refuse a batch that has a structure whose neighbour list is too large.

        Parameters
        ----------
        sizes, cells, pbc
            ``(S,)``, ``(S, 3, 3)`` Å, ``(S, 3)``.

        Raises
        ------
        StructureError
            ``out_of_memory``.
        """
        volumes = np.maximum(np.abs(np.linalg.det(cells)), 1e-9)
        dense = 4 / 3 * np.pi * self._raw.cutoff**3 * sizes / volumes
        many = sizes * np.where(pbc.all(1), np.maximum(1.0, dense), 1.0) >= FEW
        for s in np.nonzero(many)[0].tolist():
            self.refuse(int(sizes[s]), cells[s], pbc[s], whole=False)

    def refuse(self, n_atoms: int, cell: np.ndarray, pbc: np.ndarray, whole: bool) -> None:
        """Refuse a structure before anything of its size is made.

        Parameters
        ----------
        n_atoms, cell, pbc
            Of the structure; its neighbours are estimated from its density.
        whole
            Whether all its atoms are evaluated at once; otherwise its neighbour list alone counts.

        Raises
        ------
        StructureError
            ``out_of_memory``.
        """
        edges = n_atoms * expected_neighbours(self._raw.cutoff, n_atoms, cell, pbc)
        if edges < FEW:
            return
        axes = cell[np.asarray(pbc, dtype=bool)]
        if len(axes) and np.linalg.matrix_rank(axes) < len(axes):
            return  # the search for neighbours says what is wrong with such a cell
        needed, free = PER_PAIR * edges, free_memory(torch.device("cpu"))
        if whole and self._raw.device.type == "cpu":
            needed, free = bytes_per_edge(self._raw) * edges, self.free()
        if needed > ALONE * free:
            raise too_large(n_atoms, needed, free)


def too_large(n_atoms: int, needed: float, free: float) -> StructureError:
    """Error of a structure that needs so many bytes."""
    return StructureError(
        "out_of_memory",
        f"One evaluation of {n_atoms} atoms takes about {needed / 1e9:.3g} GB of memory, and "
        f"{free / 1e9:.3g} GB are free; use a larger device or a smaller cell.",
        retryable=True,
    )


def _available() -> float:
    """Bytes that Linux can give without swapping; infinite where that is not known."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return np.inf
    entries = dict(line.split(":", 1) for line in lines if ":" in line)
    return 1024.0 * int(entries["MemAvailable"].split()[0]) if "MemAvailable" in entries else np.inf


@dataclass(frozen=True)
class _ControlGroup:
    """Files of one group that a batch system, a container or systemd may have limited."""

    limits: tuple[Path, ...]
    used: Path
    stat: Path
    of_stat: str
    """what the names of its statistics begin with, where they count the groups below too"""

    def left(self) -> float:
        """Bytes left of its limit; infinite without one."""
        try:
            entries = [file.read_text().strip() for file in self.limits]
            most = min((float(value) for value in entries if value != "max"), default=np.inf)
            if most > MOST:  # a number of bytes that no computer has is how version 1 says none
                return np.inf
            used = float(self.used.read_text())
            stat = dict(row.split() for row in self.stat.read_text().splitlines())
        except (OSError, ValueError):
            return np.inf
        # pages of files that were read count as used, and are given up when memory is short: a
        # group that has read much is always full
        for name in ("inactive_file", "active_file"):
            used -= float(stat.get(self.of_stat + name, 0))
        return max(0.0, most - used)


def left_in_control_groups(process: Path = Path("/proc/self")) -> float:
    """Bytes left of the limits of this process's groups; infinite without one."""
    return min((group.left() for group in _control_groups(process)), default=np.inf)


@lru_cache(maxsize=4)
def _control_groups(process: Path) -> tuple[_ControlGroup, ...]:
    """Groups of a process that can be limited, its own and those around it, in both versions.

    A limit may be set on any of them: a batch system's is seldom on the innermost.
    """
    try:
        rows = [row.split(":", 2) for row in (process / "cgroup").read_text().splitlines()]
        mounts = (process / "mountinfo").read_text().splitlines()
    except OSError:
        return ()
    own = {value: path for _, entries, path in rows for value in entries.split(",")}
    found = []
    for mount in mounts:
        place, _, kind = mount.partition(" - ")
        root, point = place.split()[3:5]
        entries = kind.split()
        if entries[0] == "cgroup2":
            path, limiting = own.get(""), ["memory.max", "memory.high"]
            using, of_stat = "memory.current", ""
        elif entries[0] == "cgroup" and "memory" in entries[-1].split(","):
            path, limiting = own.get("memory"), ["memory.limit_in_bytes"]
            using, of_stat = "memory.usage_in_bytes", "total_"
        else:
            continue
        # a container sees its own group as the root, and the path in it or from outside of it
        below = os.path.relpath(path or root, root)
        inner = Path(point) if below.startswith("..") else Path(point) / below
        for folder in (inner, *inner.parents):
            limits = tuple(folder / name for name in limiting if (folder / name).is_file())
            if limits:
                stat = folder / "memory.stat"
                found.append(_ControlGroup(limits, folder / using, stat, of_stat))
            if folder == Path(point):
                break
    return tuple(found)


def bytes_per_edge(raw: RawModel) -> float:
    """Bytes at the peak of a model call with gradients, for each atom and neighbour in it.

    Measured by what autograd keeps of one and of two copies of a small crystal; zero, which means
    nothing is known, for a model that cannot be asked now.
    """
    if raw not in _PER_EDGE:
        graph = _small_crystal(raw)
        try:
            kept = [_kept(raw, graph, copies) for copies in (1, 2)]
        except (RuntimeError, MemoryError, StructureError):
            return 0.0
        _PER_EDGE[raw] = PEAK * (kept[1] - kept[0]) / (graph.sizes * graph.widths).item()
    return _PER_EDGE[raw]


def expected_neighbours(cutoff: float, n_atoms: int, cell: np.ndarray, pbc: np.ndarray) -> float:
    """Neighbours of an atom by the mean density of a crystal; one where there is no cell."""
    if not np.all(pbc):
        return 1.0
    volume = max(abs(float(np.linalg.det(cell))), 1e-9)
    return max(1.0, 4 / 3 * np.pi * cutoff**3 * n_atoms / volume)


def _small_crystal(raw: RawModel) -> Graphs:
    """Body-centred cubic crystal of two atoms, about 50 neighbours each."""
    side = raw.cutoff * (4 / 3 * np.pi * 2 / 50) ** (1 / 3)
    positions = np.array([[0.0, 0.0, 0.0], [0.5, 0.5, 0.5]]) * side
    numbers = np.full(2, min(raw.atomic_types))
    return graph_of(raw.lists, numbers, positions, side * np.eye(3), np.ones(3, dtype=bool))


def _kept(raw: RawModel, graph: Graphs, copies: int) -> int:
    """Bytes that autograd keeps for the backward pass of a call."""
    sizes: dict[int, int] = {}

    def count(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    rotations = torch.eye(3, dtype=torch.float64).repeat(copies, 1, 1)
    weights = torch.ones(copies * len(graph.numbers), dtype=torch.float64)
    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        raw.evaluate(Copies(graph, rotations, np.zeros(copies, dtype=int), weights))
    return sum(sizes.values())
