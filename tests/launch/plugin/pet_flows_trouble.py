"""A property of another package: what goes wrong with the third of its structures is a setting."""

import os
import signal
import time
from collections.abc import Mapping
from typing import Any

from pydantic import Field

from pet_flows.properties.property import Property
from pet_flows.properties.result import Strict
from pet_flows.properties.settings import PropertySettings


class TroubleSettings(PropertySettings):
    kind: str = Field(default="none", description="what goes wrong")
    seconds: float = Field(default=0.0, description="that each takes")


class TroubleResult(Strict):
    length: float = Field(description="of the cell")


def compute(structures, potential, settings, inherited=None, *, progress=None):
    from pet_flows.properties.outcome import Outcome

    broken = False
    for index, atoms in enumerate(structures):
        length = float(atoms.cell[0, 0])
        with open(os.environ["TROUBLE_LOG"], "a") as stream:
            stream.write(f"{length:.2f}\n")
        time.sleep(settings.seconds)
        bad = abs(length - 5.02) < 1e-6
        if bad and settings.kind == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        # a device that failed once does nothing any more
        broken = broken or (bad and settings.kind == "device_error")
        if broken or (bad and settings.kind == "out_of_memory"):
            yield Outcome(
                index=index, state="failed", reason=settings.kind, message="It failed.",
                retryable=True,
            )  # fmt: skip
            continue
        yield Outcome(index=index, state="ok", result={"length": length}, atoms=atoms)


def headline(result: Mapping[str, Any]) -> str:
    return f"{result['length']:.2f} Å"


PROPERTY = Property(
    name="trouble", title="what goes wrong", compute="pet_flows_trouble:compute",
    settings=TroubleSettings, result=TroubleResult, headline=headline, table=("length",),
)  # fmt: skip
