"""What packages of potentials change of the whole process when they are imported, put back.

nequip sets the default number type of PyTorch to float64 and seeds NumPy's random numbers, after
which sevenn and schnetpack break down, and how TorchScript, e3nn and torch.compile make code; mace
switches off that weights are read as weights only. Their models need none of it once they are made.
"""

from __future__ import annotations

import logging
import os
import random
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from functools import partial
from io import StringIO

import numpy as np
import torch

_VARIABLES = (
    "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "TORCH_FORCE_WEIGHTS_ONLY_LOAD",
    "PYTORCH_JIT_USE_NNC_NOT_NVFUSER", "PL_GLOBAL_SEED", "PL_SEED_WORKERS",
)  # fmt: skip


@contextmanager
def process_as_it_is(default: torch.dtype = torch.float32) -> Iterator[None]:
    """Import and load somebody else's potential; the process is afterwards as it was.

    Parameters
    ----------
    default
        PyTorch's default number type inside.
    """
    compilers = _compilers()
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
        for put_back in compilers:
            put_back()


def _compilers() -> list[Callable[[], object]]:
    """What puts back how code is made and tensors are shared, as far as it is loaded."""
    fusion = torch.jit.set_fusion_strategy([("DYNAMIC", 1)])  # there is no other way to ask
    torch.jit.set_fusion_strategy(fusion)
    sharing = torch.multiprocessing
    found: list[Callable[[], object]] = [
        partial(torch.jit.set_fusion_strategy, fusion),
        partial(sharing.set_sharing_strategy, sharing.get_sharing_strategy()),
    ]
    if (precision := getattr(torch.backends, "fp32_precision", None)) is not None:
        found.append(partial(setattr, torch.backends, "fp32_precision", precision))
    if (e3nn := sys.modules.get("e3nn")) is not None:
        found.append(partial(e3nn.set_optimization_defaults, **e3nn.get_optimization_defaults()))
    if (dynamo := sys.modules.get("torch._dynamo.config")) is not None:
        for name in ("capture_dynamic_output_shape_ops", "capture_scalar_outputs"):
            found.append(partial(setattr, dynamo, name, getattr(dynamo, name)))
    return found
