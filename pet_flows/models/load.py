"""Weights file → metatomic model in the wanted dtype and device; one copy per process."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING

import torch

from pet_flows.errors import PetFlowsError
from pet_flows.models.family import family_of
from pet_flows.models.resolve import ResolvedPotential, resolve
from pet_flows.models.spec import PotentialSpec
from pet_flows.symmetrization.spec import parse_spec

if TYPE_CHECKING:
    from metatomic.torch import AtomisticModel

DTYPES = {"float32": torch.float32, "float64": torch.float64}


def pick_device(name: str) -> torch.device:
    """``auto`` is the first CUDA device, else the CPU."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise PetFlowsError(f"device must be auto, cpu, cuda or cuda:N (got {name!r}).") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise PetFlowsError(
            f"device must be auto or cpu here (got {name}), because torch sees no CUDA GPU."
        )
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise PetFlowsError(
            f"device must be one of the {torch.cuda.device_count()} GPUs that torch sees, counted "
            f"from cuda:0 (got {name})."
        )
    return device


def load_model(
    potential: ResolvedPotential | PotentialSpec | str, *, trust: bool = False
) -> AtomisticModel:
    """Metatomic model of a potential, from the process-wide cache where it was loaded before.

    Raises
    ------
    PetFlowsError
        As :func:`pet_flows.models.resolve.resolve`; also a truncated file or one of another kind.
    """
    found = resolve(potential, trust=trust)
    if family_of(found.spec.model) is not None:
        raise PetFlowsError(
            f"{found.spec.model} is not a metatomic model, which this needs: use one of "
            "metatrain's."
        )
    device = pick_device(found.spec.device)
    return _load(found.file.sha256, str(found.file.path), found.spec.dtype, device)


@lru_cache(maxsize=4)
def _load(sha256: str, path: str, dtype: str, device: torch.device) -> AtomisticModel:
    from metatomic.torch import load_atomistic_model

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations of the file formats, not of ours
        if path.endswith(".ckpt"):
            model = _exported(path, dtype)
        else:
            try:
                model = load_atomistic_model(path)
            except (RuntimeError, ValueError) as error:
                raise _unreadable(path, error) from None
        if model.capabilities().dtype != dtype:
            model = _converted(model, dtype)
    if not any(name.split("/")[0] == "energy" for name in model.capabilities().outputs):
        raise PetFlowsError(f"The model {path} gives no energy: use an interatomic potential.")
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    return model.eval().to(device)


def _converted(model: AtomisticModel, dtype: str) -> AtomisticModel:
    """The same model in another dtype, and saying so.

    Wrappers for uncertainties go on saying the dtype in which they were read.
    """
    from metatomic.torch import AtomisticModel, ModelCapabilities

    old = model.capabilities()
    capabilities = ModelCapabilities(
        outputs=old.outputs,
        atomic_types=old.atomic_types,
        interaction_range=old.interaction_range,
        length_unit=old.length_unit,
        supported_devices=old.supported_devices,
        dtype=dtype,
    )
    return AtomisticModel(model.module.to(DTYPES[dtype]), model.metadata(), capabilities)


def _exported(path: str, dtype: str) -> AtomisticModel:
    """Model of a checkpoint, of whatever architecture metatrain can read."""
    from metatomic.torch import ModelMetadata  # noqa: F401  registers the class that is unpickled
    from metatrain.utils.io import model_from_checkpoint

    try:
        checkpoint = torch.load(path, weights_only=False, map_location="cpu")
    except Exception as error:  # unpickling fails in as many ways as there are damaged files
        raise _unreadable(path, error) from None
    if not isinstance(checkpoint, dict) or "architecture_name" not in checkpoint:
        raise PetFlowsError(
            f"{path} names no architecture, so it is not a checkpoint of metatrain: give a file "
            "that `mtt train` wrote."
        )
    name = str(checkpoint["architecture_name"])
    try:
        with _root_logger_as_it_is():
            module = model_from_checkpoint(checkpoint, context="export")
            return module.to(DTYPES[dtype]).export()
    except ModuleNotFoundError:
        extra = name.rpartition(".")[2].replace("_", "-")
        raise PetFlowsError(
            f"The checkpoint {path} is of the architecture {name}, which needs packages that are "
            f"not installed: run pip install 'metatrain[{extra}]'."
        ) from None
    except Exception as error:  # each architecture has its own ways to refuse its old checkpoints
        said = (str(error).splitlines() or [""])[0]
        raise PetFlowsError(
            f"The checkpoint {path} ({name}) cannot be used in {dtype} by the installed metatrain "
            f"({type(error).__name__}: {said}); use the metatrain that wrote it, or another model."
        ) from None


@contextmanager
def _root_logger_as_it_is() -> Iterator[None]:
    """Keep ``logging.info`` of a library from configuring the logging of the whole process.

    It would add a handler to the root logger, and each DEBUG line of FireWorks would be printed.
    """
    nothing = logging.NullHandler()
    logging.root.addHandler(nothing)
    try:
        yield
    finally:
        logging.root.removeHandler(nothing)


def _unreadable(path: str, error: Exception) -> PetFlowsError:
    first = (str(error).splitlines() or [type(error).__name__])[0][:120]
    return PetFlowsError(
        f"{path} cannot be read as a model ({first}), perhaps because it is truncated: download or "
        "copy it again."
    )


def refuse_other_frames(potential: ResolvedPotential, model: AtomisticModel) -> None:
    """Refuse a symmetrization that shows a model what it was not trained for.

    Raises
    ------
    PetFlowsError
        It was trained on the frames of another strategy alone (`frames` in its metadata).
    """
    frames = model.metadata().extra.get("frames")
    chosen = potential.spec.symmetrization
    if frames and not parse_spec(chosen).shows_only(parse_spec(frames)):
        raise PetFlowsError(
            f"{potential.name} was trained on the frames of {frames} alone, and {chosen} shows it "
            f"others: use --symmetrize {frames}, or a model trained in all orientations."
        )


def describe(potential: ResolvedPotential) -> dict[str, object]:
    """Elements, architecture, parameters: what only the opened file can tell."""
    family = family_of(potential.spec.model)
    if family is not None:
        raw = family[0].load(potential, torch.device("cpu"))
        interaction_range = raw.cutoff * raw.n_layers
        return {"elements": sorted(raw.atomic_types), "interaction_range": interaction_range}
    model = load_model(potential.with_(device="cpu"))
    found: dict[str, object] = {
        "elements": list(model.capabilities().atomic_types),
        "interaction_range": model.capabilities().interaction_range,
        "parameters": sum(p.numel() for p in model.parameters()),
    }
    frames = model.metadata().extra.get("frames")
    return {**found, "frames": frames} if frames else found
