"""What packages of potentials change of the whole process when they are imported, put back.

nequip sets the default number type of PyTorch to float64 and seeds NumPy's random numbers, after
which sevenn and schnetpack break down; mace switches off that weights are read as weights only.
Their models need none of it once they are made.
"""

from __future__ import annotations

import logging
import os
import random
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO

import numpy as np
import torch

_VARIABLES = ("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "TORCH_FORCE_WEIGHTS_ONLY_LOAD")


@contextmanager
def process_as_it_is(default: torch.dtype = torch.float32) -> Iterator[None]:
    """Import and load somebody else's potential; the process is afterwards as it was.

    Parameters
    ----------
    default
        PyTorch's default number type inside.
    """
    dtype, state = torch.get_default_dtype(), torch.get_rng_state()
    legacy, python = np.random.get_state(), random.getstate()  # noqa: NPY002  theirs is seeded
    variables = {name: os.environ.get(name) for name in _VARIABLES}
    handlers, level = list(logging.root.handlers), logging.root.level
    nothing = logging.NullHandler()
    logging.root.addHandler(nothing)  # logging.info would configure the logging of the process
    torch.set_default_dtype(default)
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()):
            warnings.simplefilter("ignore")  # of their code, not of ours
            yield
    finally:
        torch.set_default_dtype(dtype)
        torch.set_rng_state(state)
        np.random.set_state(legacy)  # noqa: NPY002
        random.setstate(python)
        for name, value in variables.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        logging.root.handlers[:] = handlers
        logging.root.setLevel(level)
