"""Records that are not what their schema says: named and left out, so that the others are seen."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

logger = logging.getLogger(__name__)

#: what code that reads records raises where one lacks a field or holds something else there
SYMPTOMS = (KeyError, IndexError, TypeError, AttributeError, ValueError)


def sound[T](
    records: Iterable[Mapping[str, Any]], read: Callable[[Mapping[str, Any]], T]
) -> Iterator[T]:
    """What is read of each record; the damaged ones are named in a warning instead."""
    for record in records:
        try:
            found = read(record)
        except SYMPTOMS as error:
            logger.warning("%s It is left out.", damage(record, error))
            continue
        yield found


def damage(record: Mapping[str, Any], error: Exception) -> str:
    """Sentence about a record that cannot be read."""
    said = (
        f"it has no {error}" if isinstance(error, KeyError) else f"{type(error).__name__}: {error}"
    )
    return (
        f"Record {record.get('_id')} is damaged ({said}): remove it from pet_records and run its "
        "campaign again."
    )
