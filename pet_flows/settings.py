"""One frozen object with everything a user can set once: environment above file above default."""

from __future__ import annotations

import difflib
import os
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from pet_flows.errors import PetFlowsError
from pet_flows.validate import Place, sentence
from pet_flows.yaml_file import YamlFile, read_yaml

PREFIX = "PET_FLOWS_"
#: names a YAML file with settings; without it ``~/.pet_flows.yaml`` is read if it is there
CONFIG_VARIABLE = "PET_FLOWS_CONFIG"
DEFAULT_FILE = "~/.pet_flows.yaml"


class Settings(BaseSettings):
    """Settings of this process; read them with :func:`get_settings`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    store: Path = Field(
        Path("pet_flows.db"),
        description="embedded store, used where no jobflow.yaml names a database; a relative path "
        "starts in the working directory",
    )
    model: str = Field("pet-mvl", description="potential that is used when none is named")
    symmetrization: str | None = Field(
        None,
        description="strategy string, as in PotentialSpec; without it crystal, and none for the "
        "equivariant potentials of other families",
    )
    dtype: Literal["float32", "float64"] = Field("float64", description="precision of the model")
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N")
    trusted: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="sha256 of pickled checkpoints that may be opened; commas in the variable"
    )
    max_attempts: int = Field(
        3, ge=1, description="how often a retryable failure is computed before it stays failed"
    )
    processes: int | None = Field(
        None,
        ge=0,
        description="that check and bind the next structures of a batch while the model runs, and "
        "half as many more that make records; by default none beside a model on a CPU, and up to "
        "four beside another device",
    )
    reconnect_seconds: float = Field(
        600.0, ge=0, description="s; how long an unreachable MongoDB is waited for"
    )

    @field_validator("trusted", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value

    @field_validator("store", mode="before")
    @classmethod
    def _no_server(cls, value: Any) -> Any:
        if isinstance(value, str) and "://" in value:
            scheme = value.partition("://")[0]  # what follows may be a password
            raise ValueError(
                f"store must be the path of a file, not the address of a server ({scheme}://...): "
                "a MongoDB is named in jobflow's own configuration, for which JOBFLOW_CONFIG_FILE "
                "and configs/jobflow.yaml of pet-flows are there"
            )
        return value

    @field_validator("store")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return absolute(value)


def absolute(path: str | Path) -> Path:
    """The path as it is meant now: jobs change into folders of their own.

    Raises
    ------
    PetFlowsError
        It is relative, and the working directory was removed.
    """
    try:
        return Path(path).expanduser().absolute()
    except FileNotFoundError:
        raise PetFlowsError(
            f"The working directory does not exist any more, so the relative path {path} means "
            "nothing: give an absolute path, or start in a folder that exists."
        ) from None


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """Load the settings on first use; ``get_settings.cache_clear()`` makes them be read again.

    Relative paths in them start in the working directory of that first use. Makers and workers
    read the settings when they are made, before any job changes into a folder of its own.

    Raises
    ------
    PetFlowsError
        A file or a variable holds an impossible value, or a variable is misspelt; the
        sentence names the line.
    """
    _no_misspelt_variable()
    named = os.environ.get(CONFIG_VARIABLE)
    path = absolute(named or DEFAULT_FILE)
    if path.is_file():
        return _validated(read_yaml(path))
    if named:
        raise PetFlowsError(f"{CONFIG_VARIABLE} names {path}, which is not a file: correct it.")
    return _validated(YamlFile(path, {}, {}))


def _no_misspelt_variable() -> None:
    """Refuse ``PET_FLOWS_SYMMETRISATION=none``: silence would compute something else."""
    known = [CONFIG_VARIABLE.removeprefix(PREFIX), *map(str.upper, Settings.model_fields)]
    for name in os.environ:
        given = name.upper().removeprefix(PREFIX)
        if name.upper().startswith(PREFIX) and given not in known:
            for meant in difflib.get_close_matches(given, known, n=1, cutoff=0.7):
                raise PetFlowsError(f"{name} is not a setting: did you mean {PREFIX}{meant}?")


def _validated(file: YamlFile) -> Settings:
    """Settings of file and environment; the environment wins."""
    set_outside = {name.lower() for name in os.environ}
    values = {k: v for k, v in file.values.items() if f"{PREFIX}{k}".lower() not in set_outside}

    def where(place: Place) -> str:
        return file.where(place) if place[0] in values else f"{PREFIX}{str(place[0]).upper()}: "

    try:
        return Settings(**values)
    except ValidationError as error:
        raise PetFlowsError(sentence(error, Settings, where)) from None
