"""A property that costs nothing, for measurements of everything but physics.

It sleeps for FREE_SECONDS on each structure, and says in the file FREE_LOG when it begins and when
it ends one: ``begin PID NUMBER``. Found by its entry point, as any property of another package;
`dispatch_site` writes that.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from ase import Atoms
from pydantic import Field

from pet_flows.properties.property import Property
from pet_flows.properties.result import Strict
from pet_flows.properties.settings import PropertySettings, unit


class FreeSettings(PropertySettings):
    """Nothing but what makes it another calculation."""

    shift: float = Field(
        default=0.0, description="added to the length", json_schema_extra=unit("Å")
    )


class FreeResult(Strict):
    """What is known without a model."""

    length: float = Field(description="of the first cell vector", json_schema_extra=unit("Å"))


def number_of(atoms: Atoms) -> int:
    """Which of `dispatch_site.structures` it is."""
    return round((atoms.cell[0, 0] - 5) / 1e-4)


def compute(
    structures: Sequence[Atoms],
    potential: Any,
    settings: FreeSettings,
    inherited: Any = None,
    *,
    progress: Any = None,
) -> Iterator[Any]:
    """Yield one outcome after the other."""
    from pet_flows.properties.outcome import Outcome

    log = os.open(os.environ["FREE_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        for index, atoms in enumerate(structures):
            number, length = number_of(atoms), float(atoms.cell[0, 0]) + settings.shift
            os.write(log, f"begin {os.getpid()} {number}\n".encode())
            if progress is not None:
                progress(index, 0, 1)
            time.sleep(float(os.environ.get("FREE_SECONDS", "0")))
            os.write(log, f"end {os.getpid()} {number}\n".encode())
            # every other one is small enough to stay in its record
            arrays = {
                "numbers": length + np.random.default_rng(number).random(3 + 2000 * (number % 2))
            }
            yield Outcome(
                index=index, state="ok", result={"length": length}, atoms=atoms,
                blobs={"free": arrays},
            )  # fmt: skip
    finally:
        os.close(log)


def headline(result: Mapping[str, Any]) -> str:
    return f"{result['length']:.4f} Å"


PROPERTY = Property(
    name="free", title="nothing", compute="free:compute", settings=FreeSettings,
    result=FreeResult, headline=headline, table=("length",),
)  # fmt: skip
