"""What every property yields for every structure, in the order in which they finish."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from ase import Atoms

State = Literal["ok", "unconverged", "failed"]


@dataclass(frozen=True)
class Outcome:
    """The result of one property of one structure, before it becomes a record."""

    index: int
    """position of the structure in the batch that was given"""
    state: State
    result: dict[str, Any] = field(default_factory=dict)
    """the ``result`` of this property's record (JSON numbers and lists)"""
    atoms: Atoms | None = None
    """final geometry; None where there is none"""
    reason: str | None = None
    message: str | None = None
    retryable: bool = False
    blobs: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    """large arrays by blob name, each a dict of arrays"""
    n_evaluations: int = 0
    energy_spread: float | None = None
    """eV/atom"""
    force_spread: float | None = None
    """eV/Å"""
    reference_digest: str | None = None
    inherited: dict[str, Any] = field(default_factory=dict)
    """``Bound.as_dict()`` of the structure, for properties that start from this one"""
    warnings: tuple[str, ...] = ()
    wall_time: float = 0.0
    """s, this structure's share of its batch"""
