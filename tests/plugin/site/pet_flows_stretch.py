"""A property of another package: the energy of a crystal against its uniform stretch."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from pet_flows.properties.property import PlotData, Property
from pet_flows.properties.result import Strict
from pet_flows.properties.settings import PropertySettings, unit


class StretchSettings(PropertySettings):
    stretches: tuple[float, ...] = Field(default=(0.99, 1.0, 1.01), description="of each length")


class StretchResult(Strict):
    stretches: list[float] = Field(description="of each length")
    energies: list[float] = Field(description="per atom", json_schema_extra=unit("eV"))
    softest: float = Field(description="lowest energy per atom", json_schema_extra=unit("eV"))


def compute(structures, potential, settings, inherited=None, *, progress=None):
    from pet_flows.engines.ase import SymmetrizedCalculator
    from pet_flows.properties.outcome import Outcome

    for index, atoms in enumerate(structures):
        copy, energies = atoms.copy(), []
        copy.calc = SymmetrizedCalculator(potential, inherited=inherited and inherited[index])
        for done, stretch in enumerate(settings.stretches, 1):
            copy.set_cell(atoms.cell * stretch, scale_atoms=True)
            energies.append(copy.get_potential_energy() / len(copy))
            if progress is not None:
                progress(index, done, len(settings.stretches))
        result = {"stretches": settings.stretches, "energies": energies, "softest": min(energies)}
        yield Outcome(index=index, state="ok", result=result, atoms=atoms)


def curve(data: PlotData):
    from matplotlib.figure import Figure

    axes = (figure := Figure()).add_subplot(
        xlabel="stretch", ylabel="energy (eV/atom)", title=data.title
    )
    axes.plot(data.result["stretches"], data.result["energies"], "o-")
    return figure


def headline(result: Mapping[str, Any]) -> str:
    return f"{result['softest']:.4f} eV/atom at its softest"


PROPERTY = Property(
    name="stretch", title="energy against stretch", compute="pet_flows_stretch:compute",
    settings=StretchSettings, result=StretchResult, headline=headline, table=("softest",),
    counts="stretches", plots={"curve": "pet_flows_stretch:curve"},
)  # fmt: skip
