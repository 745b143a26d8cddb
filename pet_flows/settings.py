"""One frozen object with everything a user can set once: environment above file above default."""

from __future__ import annotations

import difflib
import os
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from pet_flows import START_DIRECTORY
from pet_flows.errors import PetFlowsError

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
        "starts where the process was started",
    )
    model: str = Field("pet-mvl", description="potential that is used when none is named")
    symmetrization: str = Field("crystal", description="strategy string, as in PotentialSpec")
    dtype: Literal["float32", "float64"] = "float64"
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N")
    trusted: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="sha256 of pickled checkpoints that may be opened; commas in the variable"
    )
    max_attempts: int = Field(
        3, ge=1, description="how often a retryable failure is computed before it stays failed"
    )
    reconnect_seconds: float = Field(
        600.0, ge=0, description="s; how long an unreachable MongoDB is waited for"
    )

    @field_validator("trusted", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value

    @field_validator("store")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        # jobs change into run folders: only the directory of the start is what the user meant
        return START_DIRECTORY / value.expanduser()


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """Load the settings on first use; ``get_settings.cache_clear()`` makes them be read again.

    Raises
    ------
    PetFlowsError
        A file or a variable holds something that cannot be, or a variable is misspelt; the
        sentence names the line.
    """
    _no_misspelt_variable()
    named = os.environ.get(CONFIG_VARIABLE)
    path = START_DIRECTORY / Path(named or DEFAULT_FILE).expanduser()
    if not path.is_file():
        if named:
            raise PetFlowsError(f"{CONFIG_VARIABLE} names {path}, which is no file; mend the path.")
        return _validated({}, path)
    return _validated(_read(path), path)


def _no_misspelt_variable() -> None:
    """Refuse ``PET_FLOWS_SYMMETRISATION=none``: silence would compute something else."""
    known = [CONFIG_VARIABLE.removeprefix(PREFIX), *map(str.upper, Settings.model_fields)]
    for name in os.environ:
        word = name.upper().removeprefix(PREFIX)
        if name.upper().startswith(PREFIX) and word not in known:
            for meant in difflib.get_close_matches(word, known, n=1, cutoff=0.7):
                raise PetFlowsError(f"{name} is no setting: did you mean {PREFIX}{meant}?")


def _read(path: Path) -> dict[str, tuple[Any, int]]:
    """Values of a YAML file with their line numbers (from 1)."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        content = YAML().load(path.read_text())  # round trip: it remembers lines
    except YAMLError as error:
        mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
        where = f"line {mark.line + 1} of {path}" if mark else str(path)
        problem = getattr(error, "problem", None) or str(error)
        raise PetFlowsError(f"Cannot read {where}: {problem}; it must be YAML.") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise PetFlowsError(f"{path} must hold lines like `dtype: float32`, nothing else.")
    lines = content.lc.data  # type: ignore[attr-defined]  # key → (line, column, ...) from 0
    return {str(key): (value, lines[key][0] + 1) for key, value in content.items()}


def _validated(file: dict[str, tuple[Any, int]], path: Path) -> Settings:
    """Settings of file and environment; the environment wins."""
    set_outside = {name.lower() for name in os.environ}
    values = {k: v for k, (v, _) in file.items() if f"{PREFIX}{k}".lower() not in set_outside}
    try:
        return Settings(**values)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        where = f"Line {file[name][1]} of {path}" if name in values else f"{PREFIX}{name.upper()}"
        if first["type"] == "extra_forbidden":
            raise PetFlowsError(
                f"{where} sets {name!r}, which is no setting; there are "
                f"{', '.join(Settings.model_fields)}."
            ) from None
        raise PetFlowsError(
            f"{where} sets {name} to {first['input']!r}: {first['msg'].lower()}; correct it."
        ) from None
