"""How work is executed, apart from its physics: in no digest, and free to differ between runs."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from pet_flows.properties.settings import PropertySettings, unit


class Execution(PropertySettings):
    """What changes how long something takes, and never what comes out."""

    batch_size: int = Field(default=64, ge=1, description="structures per job")
    chunk_atoms: int | None = Field(
        default=None,
        ge=1,
        description="atoms times rotations in one call of the model; None for what suits the "
        "device, and always fewer where memory is short",
        json_schema_extra=unit("atoms"),
    )
    checkpoint_every: int = Field(
        default=100,
        ge=1,
        description="between checkpoints of molecular dynamics",
        json_schema_extra=unit("steps"),
    )
    checkpoints: Path | None = Field(
        default=None,
        description="folder for the checkpoints of molecular dynamics; None for pet_flows_md "
        "beside the embedded store",
    )
    store_every: int = Field(
        default=1000,
        ge=1,
        description="between copies of these checkpoints in the store, from which other machines "
        "go on",
        json_schema_extra=unit("steps"),
    )
