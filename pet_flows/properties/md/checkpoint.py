"""Whether a run can go on from its files."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np


class Damaged(Exception):
    """Files of a run that are not whole; says why."""


def decoded(content: bytes, name: str) -> tuple[dict[str, np.ndarray], int]:
    """Arrays of a checkpoint, and the number of frames that belong to it.

    Raises
    ------
    Damaged
        It is not whole, or of another run than ``name``.
    """
    try:
        with np.load(io.BytesIO(content)) as file:
            state = {key: file[key] for key in file.files}
        n_frames, step = int(state.pop("n_frames")), int(state["step"])
    except Exception as error:  # a damaged archive raises almost anything
        raise Damaged(f"its checkpoint cannot be read ({error})") from error
    if str(state.pop("run", name)) != name:
        raise Damaged("its checkpoint is of another run")
    if n_frames < 0 or step < 0:
        raise Damaged("its checkpoint tells of fewer than no frames or steps")
    return state, n_frames


def trim(path: Path, kind: np.dtype, n_frames: int, step: int) -> None:
    """Cut off frames beyond a checkpoint, once those that belong to it are sound.

    Parameters
    ----------
    path, kind
        Of the frames.
    n_frames, step
        Of the checkpoint; at least one frame.

    Raises
    ------
    Damaged
        Nothing was cut off.
    """
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        raise Damaged("its frames are missing") from None
    there = size // kind.itemsize
    if there < n_frames:
        raise Damaged(f"there are {there} frames where the checkpoint tells of {n_frames}")
    steps = np.memmap(path, kind, "r", shape=(n_frames,))["step"]
    if steps[-1] > step or (np.diff(steps) <= 0).any():
        raise Damaged("its frames are not those of its checkpoint")
    os.truncate(path, n_frames * kind.itemsize)
