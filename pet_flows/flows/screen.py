"""ScreenMaker: a named campaign, inputs → batches → relax → everything else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from jobflow import Flow, Maker
from pymatgen.core import Structure

from pet_flows.errors import PetFlowsError
from pet_flows.inputs.structure import InputStructure, as_input
from pet_flows.jobs import (
    ConductivityMaker,
    ElasticMaker,
    EOSMaker,
    MDMaker,
    PhononMaker,
    QHAMaker,
    RelaxMaker,
    StaticMaker,
)
from pet_flows.jobs.base import PropertyMaker, with_settings
from pet_flows.jobs.items import JobInput
from pet_flows.models.spec import PotentialSpec

#: the order in which a batch's properties are computed
PROPERTIES = ("relax", "static", "eos", "elastic", "phonon", "qha", "kappa", "md")


@dataclass
class ScreenMaker(Maker):
    """Screen many structures: relax each, then compute properties of what came out.

    Parameters
    ----------
    name
        The campaign; its records carry the name in ``sources``.
    properties
        Any of relax, static, eos, elastic, phonon, qha, kappa, md. With ``relax`` the others start
        from the relaxed structure, without it from the input.
    potential
        Model name, path or spec.
    symmetrization, dtype, device
        Override those of ``potential``.
    batch_size
        Structures per job.
    retry_failed
        Compute failed records again, whatever their reason.
    relax_maker, static_maker, eos_maker, elastic_maker, phonon_maker, qha_maker,
    kappa_maker, md_maker
        Settings of the single properties; their potential and campaign are set from here.
    """

    name: str = "screen"
    properties: Sequence[str] = ("relax", "static", "eos", "phonon")
    potential: str | PotentialSpec | None = None
    symmetrization: str | None = None
    dtype: str | None = None
    device: str | None = None
    batch_size: int = 64
    retry_failed: bool = False
    relax_maker: RelaxMaker = field(default_factory=RelaxMaker)
    static_maker: StaticMaker = field(default_factory=lambda: StaticMaker(phase_comparison=True))
    eos_maker: EOSMaker = field(default_factory=EOSMaker)
    elastic_maker: ElasticMaker = field(default_factory=ElasticMaker)
    phonon_maker: PhononMaker = field(default_factory=PhononMaker)
    qha_maker: QHAMaker = field(default_factory=QHAMaker)
    kappa_maker: ConductivityMaker = field(default_factory=ConductivityMaker)
    md_maker: MDMaker = field(default_factory=MDMaker)

    def __post_init__(self) -> None:
        """Refuse properties that do not exist; fill in what the settings say."""
        unknown = [name for name in self.properties if name not in PROPERTIES]
        if unknown or not self.properties:
            raise PetFlowsError(
                f"Unknown property {', '.join(unknown) or '(none given)'}: choose from "
                f"{', '.join(PROPERTIES)}."
            )
        self.properties = tuple(name for name in PROPERTIES if name in self.properties)
        self.potential = with_settings(self.potential)

    def maker(self, name: str) -> PropertyMaker:
        """Maker of one property with this campaign's potential."""
        maker: PropertyMaker = getattr(self, f"{name}_maker")
        own = {key: getattr(self, key) for key in ("symmetrization", "dtype", "device")}
        return replace(
            maker,
            name=f"{self.name} {name}",
            campaign=self.name,
            potential=self.potential,
            retry_failed=self.retry_failed,
            **{key: value for key, value in own.items() if value is not None},
        )

    def manifest(self, inputs: Sequence[JobInput]) -> dict[str, Any]:
        """What the campaign is, for ``pet_campaigns``: immutable, with the digest of its inputs."""
        from pet_flows.records.keys import digest, input_digest, structure_digest

        words: list[Any] = []
        for given in inputs:
            if isinstance(given, InputStructure):
                words.append(input_digest(given.structure, given.source, given.problem))
            elif isinstance(given, Structure):
                words.append(structure_digest(given))
            else:
                words.append(getattr(given, "digest", None))
        makers = {name: self.maker(name) for name in self.properties}
        return {
            "name": self.name,
            "properties": sorted(self.properties),
            "n_inputs": len(inputs),
            "inputs_digest": digest(sorted(words)),
            # what runs it (device, path of the weights) is no part of what the campaign is
            "potentials": {
                name: m.spec().model_dump(include={"sha256", "symmetrization", "dtype"})
                for name, m in makers.items()
            },
            "settings": {name: m.settings().model_dump() for name, m in makers.items()},
        }

    def make(self, inputs: Sequence[JobInput], manifest: dict[str, Any] | None = None) -> Flow:
        """Flow over batches of the inputs.

        Parameters
        ----------
        inputs
            pymatgen Structures, InputStructures, or references to stored structures.
        manifest
            Of the whole campaign, where ``inputs`` are only those that are left to do.

        Returns
        -------
        Flow
            Output: per property, a list over batches of slim results in input order.
        """
        if not inputs:
            raise PetFlowsError("A campaign needs at least one structure.")
        whole = [as_input(given) if isinstance(given, Structure) else given for given in inputs]
        manifest = manifest or self.manifest(whole)
        jobs, outputs = [], {name: [] for name in self.properties}  # type: ignore[var-annotated]
        n_batches = -(-len(whole) // self.batch_size)
        for n in range(n_batches):
            batch: Any = list(whole[n * self.batch_size : (n + 1) * self.batch_size])
            for name in PROPERTIES:
                if name not in self.properties:
                    continue
                job = replace(self.maker(name), manifest=manifest).make(batch)
                if n_batches > 1:
                    job.name = f"{job.name} {n + 1}/{n_batches}"
                jobs.append(job)
                outputs[name].append(job.output)
                if name == "relax":
                    batch = job.output
        return Flow(jobs, output=outputs, name=self.name)
