"""Train a PET on the data of the bundled one with the most that an hour of one CPU thread gives.

    python workflows/train_pet_compiled.py DATA --out runs/one --hours 1
    python workflows/model_card.py runs/one/pet-mvl.ckpt --data runs/one/validation.extxyz ...

The model is metatrain's, the loop is not: neighbours are searched for once, the whole step
(energies, forces, and the gradient of the loss through both) is compiled, matrices are trained by
Muon, and the one schedule, of learning rates and of weights, ends when the time that was asked for
is used up. ``--start CKPT`` takes its model and weights, with the cutoff of here, and goes through
the second half alone, or a smaller part (``--part 0.2``). It needs a C++ compiler. Run again with
the same ``--out``, it goes on from where its state was last saved.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.io import write
from mvl_data import align_molybdenum, load, primitive, split
from pet_batches import Batches, random_orientations
from pet_step import Energies, compiled_step, predict

from pet_flows.engines.pet import PETRaw

HYPERS = {
    "cutoff": 5.0,  # Å; with the soft edge the third shell of fcc Ni and Cu is inside
    "cutoff_width": 1.0, "d_pet": 32, "d_node": 64, "d_head": 32, "d_feedforward": 64,
    "num_heads": 2, "num_attention_layers": 1, "num_gnn_layers": 2, "zbl": True,
}  # fmt: skip
ELEMENTS = (3, 14, 28, 29, 32, 41, 42, 73, 74)
#: factor on the slope of the first layer: with the usual one, directions are told apart late
GAIN = 3.0
#: atoms and structures of a batch, and numbers of neighbours that it is padded to: each of these
#: is compiled for itself
ROWS, SLOTS, WIDTHS = 216, 108, (28, 39, 56)
#: learning rates
MUON, ADAM = 6e-3, 1.5e-3
#: steps in which they rise, and how much of the average of the weights a step keeps
WARMUP, DECAY = 200, 0.997
#: weights beside forces, of energies and virials per atom, from start to end of the schedule
#: and errors (eV/Å, eV/atom) below which a loss is quadratic
LATER = {"energy": (2.0, 12.0), "virial": (0.3, 1.0)}
SOFT = {"forces": (0.5, 0.02), "energy": (0.05, 0.0005), "virial": (0.3, 0.004)}


def new_model(training: list[Atoms]) -> Any:
    """PET of these hyperparameters, with atomic energies fitted to the training set."""
    from metatrain.composition.trainer import Trainer
    from metatrain.pet import PET
    from metatrain.utils.architectures import get_default_hypers
    from metatrain.utils.data import DatasetInfo
    from metatrain.utils.data.target_info import get_energy_target_info

    unit: Any = {"unit": "eV", "description": ""}
    energy = get_energy_target_info("energy", unit, True, True)
    info = DatasetInfo("angstrom", list(ELEMENTS), {"energy": energy})
    pet = PET({**get_default_hypers("pet")["model"], **HYPERS}, info)
    counts = np.array([[np.sum(a.numbers == z) for z in ELEMENTS] for a in training])
    totals = np.array([a.info["ref_energy"] for a in training])
    per_atom = np.linalg.lstsq(counts, totals)[0]
    fixed = {"energy": dict(zip(ELEMENTS, per_atom.tolist(), strict=True))}
    hypers = {**get_default_hypers("composition")["training"], "atomic_baseline": fixed}
    cpu = torch.device("cpu")
    Trainer(hypers).train(pet.additive_models[0], torch.float64, [cpu], [[]], [[]], "")
    with torch.no_grad():
        for layer in pet.backend.gnn_layers:
            layer.edge_embedder.weight *= GAIN
    return pet


def started_model(checkpoint: Path) -> Any:
    """A checkpoint's PET with the cutoff of here, its energy scale taken into the last layers."""
    from metatomic.torch import ModelMetadata  # noqa: F401  its class is unpickled
    from metatrain.pet import PET

    old = PET.load_checkpoint(torch.load(checkpoint, weights_only=False), "export")
    scale = PETRaw(old.export()).scale
    reach = {name: HYPERS[name] for name in ("cutoff", "cutoff_width")}
    pet = PET({**old.hypers, **reach}, old.dataset_info)
    weights = {k: v for k, v in old.state_dict().items() if not k.startswith("scaler.")}
    pet.load_state_dict({**pet.state_dict(), **weights})
    pet.additive_models[0].sync_tensor_maps()
    with torch.no_grad():
        for kind in (pet.backend.node_last_layers, pet.backend.edge_last_layers):
            for parameter in kind.parameters():
                parameter *= scale
    return pet


def repeats(structures: list[Atoms]) -> np.ndarray:
    """How often each structure is shown in one round.

    Surfaces are few and far from the rest, hot and defective crystals have the largest errors, the
    small strained cells of which elastic constants are made cost nothing (lithium is soft: labels
    of its own are small beside all errors), and solid solutions are many and alike.
    """
    often = np.ones(len(structures))
    volumes = np.array([a.get_volume() / len(a) for a in structures])
    groups = np.array([a.info["group"] for a in structures])
    for group in np.unique(groups):
        members = groups == group
        if group.endswith("_SS"):
            often[members] = 0.3
        if group.endswith(("AIMD", "AIMD-NVT", "Vacancy")):
            often[members] = 2
        if group.endswith(":all"):
            often[members & (volumes > 1.25 * np.median(volumes[members]))] = 4
        if group.endswith("Surface"):
            often[members] = 6
    often[np.array([len(a) for a in structures]) <= 4] = 12
    often[groups == "mlearn_Li:Elastic"] = 150
    return often


def packed(batches: Batches, often: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """Batches of one round: structures of like width, as many as fit.

    Raises
    ------
    ValueError
        If a structure is larger than a batch.
    """
    if batches.sizes.max() > ROWS or batches.widths.max() > WIDTHS[-1]:
        raise ValueError(f"no batch of {ROWS} atoms with {WIDTHS[-1]} neighbours holds all: "
                         "raise ROWS and WIDTHS.")  # fmt: skip
    times = np.floor(often + rng.random(len(often))).astype(int)
    order = rng.permutation(np.repeat(np.arange(len(often)), times))
    shape = np.searchsorted(WIDTHS, batches.widths)
    result = []
    for width in range(len(WIDTHS)):
        bins: list[tuple[list[int], int]] = []
        for s in order[shape[order] == width].tolist():
            n = int(batches.sizes[s])
            place = next(
                (k for k, (b, used) in enumerate(bins[-8:], max(0, len(bins) - 8))
                 if used + n <= ROWS and len(b) < SLOTS), None,
            )  # fmt: skip
            if place is None:
                bins.append(([s], n))
            else:
                bins[place] = ([*bins[place][0], s], bins[place][1] + n)
        result += [np.array(b) for b, _ in bins]
    return [result[k] for k in rng.permutation(len(result))]


def validation_errors(model: Energies, data: Batches) -> tuple[float, float]:
    """Mean absolute errors, eV/atom and eV/Å."""
    energies, forces = [], []
    order = np.argsort(data.widths)
    for which in np.array_split(order, math.ceil(data.sizes.sum() / ROWS)):
        turns = np.broadcast_to(np.eye(3), (len(which), 3, 3))
        rows, width = int(data.sizes[which].sum()), int(data.widths[which].max())
        batch = data.take(which, rows, width, len(which), turns)
        energy, force, _ = predict(model, batch, differentiable=False)
        energies.append(((energy - batch["energy"]).abs() / batch["atoms"]).detach())
        forces.append((force - batch["forces"]).abs().ravel())
    return float(torch.cat(energies).mean()), float(torch.cat(forces).mean())


def any_rotation(which: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """An orientation for each structure, whichever it is."""
    return random_orientations(len(which), rng)


class Run:
    """Weights, their average, the optimizers, and how far the schedule has come."""

    def __init__(self, model: Energies):
        self.model = model
        self.named = dict(model.named_parameters())
        matrices: list[torch.nn.Parameter] = []
        others: list[torch.nn.Parameter] = []
        for name, p in self.named.items():
            hidden = p.ndim == 2 and min(p.shape) > 4 and "embed" not in name
            (matrices if hidden else others).append(p)
        self.optimizers: list[tuple[torch.optim.Optimizer, float]] = [
            (torch.optim.Muon(matrices, lr=MUON, weight_decay=0.0), MUON),
            (torch.optim.Adam(others, lr=ADAM, betas=(0.9, 0.98)), ADAM),
        ]
        self.average = [p.detach().clone() for p in self.named.values()]
        self.rng = np.random.default_rng(0)
        self.used, self.count = 0.0, 0

    def update(self, gradients: Sequence[torch.Tensor], rate: float) -> None:
        """One step of the optimizers, and of the average."""
        for p, gradient in zip(self.named.values(), gradients, strict=True):
            p.grad = gradient
        for optimizer, peak in self.optimizers:
            optimizer.param_groups[0]["lr"] = peak * rate
            optimizer.step()
        self.count += 1
        part = 1 - min(DECAY, self.count / (self.count + 10))
        for mean, p in zip(self.average, self.named.values(), strict=True):
            mean.lerp_(p.detach(), part)

    def exchange(self) -> None:
        """Put the average where the weights are, and the other way round."""
        for k, p in enumerate(self.named.values()):
            p.data, self.average[k] = self.average[k], p.data

    def save(self, file: Path) -> None:
        """Everything that a later run needs to go on."""
        state = {
            "model": self.model.state_dict(), "average": self.average, "used": self.used,
            "count": self.count, "rng": self.rng.bit_generator.state,
            "optimizers": [optimizer.state_dict() for optimizer, _ in self.optimizers],
        }  # fmt: skip
        torch.save(state, file.with_suffix(".new"))
        file.with_suffix(".new").rename(file)

    def write(self, pet: Any, file: Path) -> None:
        """Write the model that was trained, with the average of its weights, as a checkpoint."""
        self.exchange()
        progress = {"epoch": self.count, "best_epoch": self.count}
        torch.save({**pet.get_checkpoint(), **progress}, file)
        self.exchange()

    def load(self, file: Path) -> None:
        """Go on where :meth:`save` was called."""
        state = torch.load(file, weights_only=False)
        self.model.load_state_dict(state["model"])
        self.average, self.used, self.count = state["average"], state["used"], state["count"]
        self.rng.bit_generator.state = state["rng"]
        for (optimizer, _), old in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(old)


def train(
    run: Run, training: Batches, often: np.ndarray, held: Batches, seconds: float, file: Path,
    clock: Callable[[], float], frames: Callable[..., np.ndarray] = any_rotation,
) -> None:  # fmt: skip
    """Train until so much time is used up, compilation and validation aside.

    ``frames`` gives the orientations ``(S, 3, 3)`` in which structures ``(S,)`` are shown.
    """
    compiled: dict[int, Any] = {}
    queue: list[np.ndarray] = []
    errors, told, start = torch.zeros(3), run.used, clock()
    while run.used < seconds:
        queue = queue or packed(training, often, run.rng)
        which = queue.pop()
        turns = frames(which, run.rng)
        width = WIDTHS[int(np.searchsorted(WIDTHS, training.widths[which].max()))]
        batch = training.take(which, ROWS, width, SLOTS, turns)
        t = run.used / seconds
        weights = [a * (b / a) ** t for a, b in (*LATER.values(), *SOFT.values())]
        new = width not in compiled
        if new:
            compiled[width] = compiled_step(run.model, batch)
        with torch.no_grad():
            given = [p.detach() for p in run.named.values()]
            found, *gradients = compiled[width](given, batch, torch.tensor(weights))
        if new:
            start = clock()
        run.update(gradients, min(1.0, run.count / WARMUP) * 0.5 * (1 + math.cos(math.pi * t)))
        errors += max(0.01, 1 / run.count) * (found - errors)
        now = clock()
        run.used, start = run.used + now - start, now
        if run.used - told > seconds / 12 or run.used >= seconds:
            told = run.used
            run.save(file)
            run.exchange()
            energy, force = validation_errors(run.model, held)
            run.exchange()
            f, e, v = errors.tolist()
            print(f"{run.used:7.0f} s {run.count:6d} steps; losses: forces {f:.4f} energy {e:.4f} "
                  f"virial {v:.4f}; validation: {1e3 * energy:.2f} meV/atom, {force:.4f} eV/Å",
                  flush=True)  # fmt: skip
            start = clock()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "data", type=Path, help="folder with mlearn_*.extxyz.gz and monbtaw.extxyz.gz"
    )
    parser.add_argument("--out", type=Path, default=Path("runs/pet-mvl"))
    parser.add_argument("--start", type=Path, help="checkpoint whose training is gone on with")
    parser.add_argument("--part", type=float, default=0.5, help="of the schedule, after --start")
    parser.add_argument("--hours", type=float, default=1.0, help="time to train for")
    parser.add_argument("--wall", action="store_true", help="hours of the clock, not of the CPU")
    args = parser.parse_args()

    torch.set_num_threads(1)
    torch.manual_seed(0)
    structures = load(args.data)
    shift = align_molybdenum(structures)
    training, validation = split(structures)
    training = [primitive(atoms) for atoms in training]
    print(f"{len(training)} training and {len(validation)} validation structures; "
          f"mlearn Mo shifted by {1e3 * shift:.2f} meV/atom", flush=True)  # fmt: skip
    args.out.mkdir(parents=True, exist_ok=True)
    write(args.out / "validation.extxyz", validation)
    pet = started_model(args.start) if args.start else new_model(training)
    raw = PETRaw(pet.export())
    pet.train()
    run = Run(Energies(pet))
    part = args.part if args.start else 1.0
    seconds = 3600 * args.hours / part
    run.used = (1 - part) * seconds
    state = args.out / "state.pt"
    if state.exists():
        run.load(state)
    often = repeats(training)
    clock = time.monotonic if args.wall else time.process_time
    train(run, Batches(training, raw), often, Batches(validation[::4], raw), seconds, state, clock)
    run.write(pet, args.out / "pet-mvl.ckpt")


if __name__ == "__main__":
    main()
