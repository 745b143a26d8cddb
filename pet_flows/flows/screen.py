"""ScreenMaker: a named campaign, inputs → batches → relax → everything else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from jobflow import Flow, Job, Maker
from pymatgen.core import Structure

from pet_flows.errors import PetFlowsError
from pet_flows.flows.names import names_with_settings
from pet_flows.inputs.structure import InputStructure, as_input
from pet_flows.jobs import PropertyMaker, maker_of
from pet_flows.jobs.base import as_dict
from pet_flows.jobs.entries import JobInput, StructureReference
from pet_flows.models.choose import with_settings
from pet_flows.models.resolve import resolve
from pet_flows.models.spec import PotentialSpec
from pet_flows.properties.execution import Execution
from pet_flows.properties.registry import get_property, properties
from pet_flows.properties.settings import PropertySettings
from pet_flows.records.keys import FIRST
from pet_flows.validate import validated


@dataclass
class ScreenMaker(Maker):
    """Screen many structures: relax each, then compute properties of what came out.

    Parameters
    ----------
    name
        The campaign; its records have the name in ``sources``.
    properties
        Names of properties, or a dict of names with settings (each a dict or the property's
        settings model). With ``relax`` the others start from the relaxed structure, without it
        from the input.
    potential
        Model name, path or spec; a list computes everything with each of them.
    symmetrization, dtype, device
        Override those of every ``potential``.
    batch_size
        Structures per job; None for that of ``execution``.
    execution
        `Execution` or a dict with some of its fields: how it runs, which changes no result.
    retry_failed
        Compute failed records again, whatever their reason.
    makers
        By property, a maker to use instead of a new one; its potential and campaign are set from
        here. Those of properties that are not computed are not used.
    """

    name: str = "screen"
    properties: Sequence[str] | Mapping[str, Any] = ("relax", "static", "eos", "phonon")
    potential: str | PotentialSpec | list[str | PotentialSpec] | None = None
    symmetrization: str | None = None
    dtype: str | None = None
    device: str | None = None
    batch_size: int | None = None
    execution: Execution | dict[str, Any] | None = None
    retry_failed: bool = False
    makers: dict[str, PropertyMaker] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse properties that do not exist; make the makers; fill in the user's settings."""
        try:
            given = names_with_settings(self.properties)
        except ValueError as error:
            raise PetFlowsError(f"ScreenMaker: {error}") from None
        if not isinstance(given, dict) or not given:
            raise PetFlowsError(
                "A campaign needs at least one property, by name or with settings (got "
                f"{self.properties!r}): choose from {', '.join(properties())}."
            )
        for name in (*given, *self.makers):
            get_property(name)
        for name, maker in self.makers.items():
            _refuse_other(name, maker)
        names = [name for name in properties() if name in given]
        self.run_options()
        self.makers = {name: self._made(name, given[name]) for name in names}
        self.properties = tuple(names)
        several = self.potential if isinstance(self.potential, list | tuple) else [self.potential]
        if not several:
            raise PetFlowsError("A campaign needs a potential: leave it out, or name one.")
        specs: list[Any] = [with_settings(one) for one in several]
        self.potential = specs if isinstance(self.potential, list | tuple) else specs[0]

    def _made(self, name: str, settings: PropertySettings | Mapping[str, Any] | None) -> Any:
        maker = self.makers.get(name) or maker_of(
            name, settings=dict(get_property(name).in_campaign)
        )
        if not isinstance(settings, PropertySettings | Mapping):
            raise PetFlowsError(
                f"The settings of {name} must be names with values (got {settings!r})."
            )
        return replace(maker, settings={**maker.own_settings(), **as_dict(settings)})

    def run_options(self) -> Execution:
        """Validated ``execution``, with ``batch_size`` where it is given by itself."""
        given = as_dict(self.execution)
        if self.batch_size is not None:
            given["batch_size"] = self.batch_size
        return validated(Execution, given, lambda place: "ScreenMaker: ")

    def specs(self) -> list[PotentialSpec]:
        """The potentials with the hashes of their weights, which every job of the campaign uses.

        A hub may have a newer release by the time that a job runs. What is named twice is one.
        """
        several = self.potential if isinstance(self.potential, list) else [self.potential]
        return list(dict.fromkeys(resolve(with_settings(one)).spec for one in several))

    def maker(self, name: str, potential: PotentialSpec | None = None) -> PropertyMaker:
        """Maker of one property with a potential of this campaign, by default its first."""
        own = {key: getattr(self, key) for key in ("symmetrization", "dtype", "device")}
        own = {key: value for key, value in own.items() if value is not None}
        if self.execution is not None:
            own["execution"] = self.execution
        return replace(
            self.makers[name],
            name=f"{self.name} {name}",
            campaign=self.name,
            potential=potential or self.specs()[0],
            retry_failed=self.retry_failed,
            **own,
        )

    def manifest(self, n_inputs: int | None = None) -> dict[str, Any]:
        """What the campaign is about, for ``pet_campaigns``; ``n_inputs`` where that is known."""
        specs = self.specs()
        # what runs it (device, path of the weights) is no part of what the campaign is
        potentials = [
            {
                name: self.maker(name, spec)
                .spec()
                .model_dump(
                    include={"sha256", "variant", "symmetrization", "dtype"}, exclude_none=True
                )
                for name in self.properties
            }
            for spec in specs
        ]
        return {
            "name": self.name,
            "properties": sorted(self.properties),
            **({} if n_inputs is None else {"n_inputs": n_inputs}),
            "potentials": potentials[0] if len(potentials) == 1 else potentials,
            "settings": {name: self.makers[name].physics().identity() for name in self.properties},
        }

    def batch(
        self,
        given: Any,
        potential: PotentialSpec,
        names: Sequence[str],
        manifest: dict[str, Any],
        label: str = "",
    ) -> dict[str, Job]:
        """Jobs of some properties of one batch, the relaxation first, the others of its output.

        Parameters
        ----------
        given
            Structures, as the makers take them.
        potential
            One of `specs`.
        names
            Of properties of this campaign.
        manifest
            See `manifest`.
        label
            Behind the names of the jobs.
        """
        jobs: dict[str, Job] = {}
        for name in (one for one in self.properties if one in names):
            job = replace(self.maker(name, potential), manifest=manifest).make(given)
            job.name = f"{job.name} {label}".rstrip()
            jobs[name] = job
            if name == FIRST:
                given = job.output
        return jobs

    def make(self, inputs: Sequence[JobInput]) -> Flow:
        """Flow over batches of the inputs.

        Parameters
        ----------
        inputs
            pymatgen Structures, InputStructures, or references to stored structures.

        Returns
        -------
        Flow
            Output: per property, a list over potentials and batches of slim results in input
            order.
        """
        if isinstance(inputs, Structure | InputStructure):
            inputs = [inputs]
        for given in inputs:
            if not isinstance(given, Structure | InputStructure | StructureReference | dict):
                raise PetFlowsError(
                    f"A {type(given).__name__} cannot be screened: give pymatgen Structures (of an "
                    "ASE Atoms, pymatgen.io.ase.AseAtomsAdaptor.get_structure makes one)."
                )
        if not inputs:
            raise PetFlowsError("A campaign needs at least one structure: add one to inputs.")
        whole: list[JobInput] = [
            as_input(given) if isinstance(given, Structure) else given for given in inputs
        ]
        manifest = self.manifest(len(whole))
        size = self.run_options().batch_size
        batches = [whole[n : n + size] for n in range(0, len(whole), size)]
        names = tuple(self.properties)
        jobs: list[Flow | Job] = []
        outputs: dict[str, list[Any]] = {name: [] for name in names}
        for spec in self.specs():
            for n, batch in enumerate(batches, 1):
                label = f"{n}/{len(batches)}" if len(batches) > 1 else ""
                of_batch = self.batch(batch, spec, names, manifest, label)
                jobs += of_batch.values()
                for name, job in of_batch.items():
                    outputs[name].append(job.output)
        return Flow(jobs, output=outputs, name=self.name)


def _refuse_other(name: str, maker: Any) -> None:
    """Refuse a maker that would not compute the property it stands for."""
    of = getattr(maker, "property_name", None)
    if not isinstance(maker, PropertyMaker) or of != name:
        raise PetFlowsError(
            f"makers[{name!r}] must be a maker of {name} (got {maker!r:.60}): give one, such as "
            f"pet_flows.maker_of({name!r})."
        )
