"""Which structures a batch has, so that a job holds one digest however many there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pet_flows.errors import PetFlowsError
from pet_flows.records.keys import digest
from pet_flows.store.patience import patient
from pet_flows.store.writes import insert_missing, refuse_large


class Batches:
    """The collection ``pet_batches``.

    Parameters
    ----------
    collection
        Of pymongo, or of the embedded store.
    """

    def __init__(self, collection: Any):
        self.collection = collection

    @patient
    def put(self, inputs: Sequence[dict[str, Any]]) -> str:
        """Store what a batch is of, in order; returns its digest.

        Raises
        ------
        PetFlowsError
            It is above 1 MB.
        """
        content = {"inputs": list(inputs)}
        key = str(digest(content))
        refuse_large(content, f"A batch of {len(inputs)} structures (choose a smaller batch_size)")
        insert_missing(self.collection, [{"_id": key, **content}])
        return key

    @patient
    def get(self, key: str) -> list[dict[str, Any]]:
        """What a batch is of.

        Raises
        ------
        PetFlowsError
            It is not there.
        """
        found = self.collection.find_one({"_id": key})
        if found is None:
            raise PetFlowsError(
                f"Batch {key} is not in the collection pet_batches: submit its campaign again, "
                "with the jobflow.yaml that the workers use."
            )
        inputs: list[dict[str, Any]] = found["inputs"]
        return inputs
