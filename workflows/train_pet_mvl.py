"""Train the bundled PET, ``pet-mvl``: Li, Si, Ni, Cu, Ge, Nb, Mo, Ta, W at the PBE level.

The data are the training sets of Zuo et al., J. Phys. Chem. A 124, 731 (2020) (``mlearn``) and
Li et al., npj Comput. Mater. 6, 70 (2020) (``monbtaw``) as gzipped extended XYZ. The script

1. merges them, shifts the Mo of ``mlearn`` onto the Mo of ``monbtaw`` (the two sources used
   different pseudopotentials), marks absent stresses as NaN so that the loss skips them, and
   splits off a validation set stratified by group; of the binary solid solutions, which are 60 %
   of all structures, a part is kept for training (``--alloys``);
2. runs ``mtt train`` with ``configs/train_pet_mvl.yaml``, or, given ``--finetune CKPT``, the
   second stage with ``configs/finetune_pet_mvl.yaml``;
3. leaves ``<out>/pet-mvl.ckpt`` (and the exported ``.pt``) behind.

    python workflows/train_pet_mvl.py DATA --out runs/one
    python workflows/train_pet_mvl.py DATA --out runs/two --finetune runs/one/pet-mvl.ckpt
    python workflows/model_card.py runs/two/pet-mvl.ckpt --data runs/two/validation.extxyz ...

``--epochs`` and ``--device`` override the options file, ``--restart CKPT`` continues a run,
``--elements Si`` trains a smaller model on a part of the data.
"""

from __future__ import annotations

import argparse
import random
import sys
from pathlib import Path

from ase import Atoms
from metatrain_run import train
from mvl_data import align_molybdenum, load, split

CONFIGS = Path(__file__).resolve().parents[1] / "configs"


def thin(training: list[Atoms], fraction: float, seed: int = 0) -> list[Atoms]:
    """Keep this fraction of the binary solid solutions and everything else."""
    rng = random.Random(seed)
    return [a for a in training if not a.info["group"].endswith("_SS") or rng.random() < fraction]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "data", type=Path, help="folder with mlearn_*.extxyz.gz and monbtaw.extxyz.gz"
    )
    parser.add_argument("--out", type=Path, default=Path("runs/pet-mvl"))
    parser.add_argument("--alloys", type=float, default=0.33, help="fraction of solid solutions")
    parser.add_argument("--elements", nargs="+", help="only structures of these")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--restart", type=Path, help="checkpoint to continue from")
    parser.add_argument("--finetune", type=Path, help="checkpoint to start the second stage from")
    args = parser.parse_args()

    structures = load(args.data)
    shift = align_molybdenum(structures)
    if args.elements:
        structures = [a for a in structures if set(a.symbols) <= set(args.elements)]
    training, validation = split(structures)
    training = thin(training, args.alloys)
    print(f"{len(training)} training and {len(validation)} validation structures; "
          f"mlearn Mo shifted by {1e3 * shift:.2f} meV/atom")  # fmt: skip
    options = CONFIGS / f"{'finetune' if args.finetune else 'train'}_pet_mvl.yaml"
    overrides = {
        "device": args.device,
        "architecture.training.num_epochs": args.epochs,
        "architecture.training.finetune.read_from": args.finetune and args.finetune.resolve(),
    }
    sys.exit(train(args.out, training, validation, options, "pet-mvl", overrides, args.restart))


if __name__ == "__main__":
    main()
