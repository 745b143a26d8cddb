"""One run of ``mtt train``, in a folder that is left with its structures and its checkpoint."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from ase import Atoms
from ase.io import write


def train(
    folder: Path,
    training: list[Atoms],
    validation: list[Atoms],
    options: Path,
    name: str,
    overrides: dict[str, object],
    restart: Path | None,
) -> int:
    """Write ``training.extxyz`` and ``validation.extxyz``, and train.

    Parameters
    ----------
    options
        File of metatrain.
    name
        Of the checkpoint and the exported model, without their endings.
    overrides
        Dotted name of an option → its value; those that are None stay as they are in the file.
    restart
        Checkpoint to continue from.

    Returns
    -------
    int
        Exit status.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / "training.extxyz", training)
    write(folder / "validation.extxyz", validation)
    # a bare output name: `mtt train -o folder/name.pt` fails after training
    command = [sys.executable, "-m", "metatrain", "train", str(options), "-o", f"{name}.pt"]
    for option, value in overrides.items():
        if value is not None:
            command += ["-r", f"{option}={value}"]
    if restart is not None:
        command += ["--restart", str(restart.resolve())]
    return subprocess.run(command, cwd=folder, check=False).returncode
