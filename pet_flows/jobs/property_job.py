"""The jobs of our makers: they see the store of their outputs, and know their category."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import TYPE_CHECKING, Any

from jobflow import Job, JobConfig, job

from pet_flows.jobs.entries import refuse_ase

if TYPE_CHECKING:
    from pet_flows.jobs.base import PropertyMaker


class PropertyJob(Job):
    """A job that sees the store of its outputs, beside which it writes its records.

    ``flow.update_config(JobConfig(...))``, as for the settings of a queue, replaces what the job
    was made with, and jobs that other jobs make inherit the config of those; neither must send
    records elsewhere, or drop the category by which workers of ours know what is theirs.
    """

    @property
    def config(self) -> JobConfig:
        """Config of the job, with a ``_category`` for FireWorks unless it names another."""
        config: JobConfig = self.__dict__["config"]
        if (category := self._category()) is not None:
            config.manager_config.setdefault("_category", category)
        return config

    @config.setter
    def config(self, config: JobConfig) -> None:
        # a copy: one object may be the config of all jobs of a flow, of other codes too
        own = dict(config.manager_config)
        self.__dict__["config"] = replace(config, manager_config=own)

    def update_maker_kwargs(self, *args: Any, **kwargs: Any) -> None:
        """See :meth:`jobflow.Job.update_maker_kwargs`; another device is another category."""
        marks, before = self.config.manager_config, self._category()
        super().update_maker_kwargs(*args, **kwargs)
        if marks.get("_category") == before:
            marks["_category"] = self._category()

    def _category(self) -> str | None:
        maker: Any = self.maker  # one of ours
        return None if maker is None else maker.category()

    def run(self, store: Any, job_dir: Any = None) -> Any:
        """See :meth:`jobflow.Job.run`."""
        self.config = replace(self.config, expose_store=True)
        return super().run(store, job_dir)


def property_job(make: Callable[..., Any]) -> Callable[..., Any]:
    """Make a maker's ``make`` give jobs that see the result store.

    A maker whose settings are wrong is refused when the job is made, not when it runs.
    """
    delayed = job(make, config=JobConfig(expose_store=True))

    @wraps(make)
    def checked(self: PropertyMaker, *args: Any, **kwargs: Any) -> Any:
        self.check()
        refuse_ase(kwargs["structure"] if "structure" in kwargs else args[0] if args else None)
        made = delayed(self, *args, **kwargs)
        made.__class__ = PropertyJob  # the decorator makes plain ones only
        return made

    checked.original = make  # type: ignore[attr-defined]  # where jobflow looks for the function
    return checked
