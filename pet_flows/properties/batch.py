"""Evaluation of batches in which the failures of single structures stay alone."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence

import numpy as np
import torch

from pet_flows.engines.evaluation import Evaluation, System
from pet_flows.engines.evaluator import Evaluator
from pet_flows.engines.memory import is_out_of_memory
from pet_flows.errors import StructureError

logger = logging.getLogger(__name__)

#: batches hold this many chunks of the evaluator: enough that the time beside them is small
CHUNKS_IN_FLIGHT = 4
#: what the errors of devices say, CUDA's and those of its libraries, in small letters
DEVICE_FAILURES = (
    "cuda error", "cuda driver", "cublas", "cudnn", "cusolver", "cusparse", "cufft", "nvrtc",
    "hip error", "hipblas", "miopen", "xpu error", "mps backend",
)  # fmt: skip
#: what PyTorch raises, scripted models, whose errors are no RuntimeErrors, and linear algebra
BREAKDOWNS = (MemoryError, RuntimeError, torch.jit.Error, np.linalg.LinAlgError)
#: how TorchScript begins the line that says what was wrong
SCRIPTED = re.compile(r"[\w.]*(Error|Exception): ")


def capacity_of(evaluator: Evaluator) -> int:
    """Atoms × evaluations in flight."""
    # what calculates with another code has no usual number of atoms
    usual: int = getattr(evaluator, "usual_atoms", evaluator.chunk_atoms)
    return CHUNKS_IN_FLIGHT * usual


def evaluate_each(
    evaluator: Evaluator, systems: Sequence[System], forces: bool = True
) -> list[Evaluation | StructureError]:
    """Evaluate a batch; a structure that cannot be done gives its error, the others a result.

    The batch is halved until the one at fault is alone; so it is when memory runs out.
    """
    if not systems:
        return []
    try:
        return list(evaluator.evaluate(systems, forces=forces))
    except (StructureError, *BREAKDOWNS) as error:
        if len(systems) == 1:
            if isinstance(error, StructureError):
                return [error]
            if is_out_of_memory(error):
                return [too_large(len(systems[0].numbers))]
            return [_broken(error)]
        middle = len(systems) // 2
        return [
            *evaluate_each(evaluator, systems[:middle], forces),
            *evaluate_each(evaluator, systems[middle:], forces),
        ]


def is_device_error(error: BaseException) -> bool:
    """Whether a device failed, and not the model that ran on it: PyTorch may say it as text."""
    kind = getattr(torch, "AcceleratorError", None)
    if kind is not None and isinstance(error, kind):
        return True
    text = str(error).lower()
    return any(said in text for said in DEVICE_FAILURES)


def _broken(error: BaseException) -> StructureError:
    """What an error of PyTorch becomes: a device may recover, a model refuses again."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # TorchScript begins with a traceback of its own, and names the error after it
    named = [line for line in lines if SCRIPTED.match(line)]
    said = next(iter(named[-1:] or lines[:1]), type(error).__name__)[:400].rstrip(".")
    if is_device_error(error):
        message = f"The device broke down on this structure ({said}); run it again."
        return StructureError("device_error", message, retryable=True)
    logger.error("the model broke down on one structure of a batch", exc_info=error)
    return StructureError(
        "model_error", f"The model cannot do this structure ({said}); use another model."
    )


def too_large(n_atoms: int) -> StructureError:
    """Error of a structure that memory does not hold."""
    return StructureError(
        "out_of_memory",
        f"{n_atoms} atoms do not fit into memory; use a larger device or a smaller cell.",
        retryable=True,
    )
