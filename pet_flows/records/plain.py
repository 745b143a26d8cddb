"""Values in BSON's own types, and whether they are numbers at all."""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Mapping
from datetime import datetime
from enum import Enum
from functools import lru_cache
from itertools import chain
from typing import Any

import numpy as np

#: BSON's own types, which are kept as they are
_OWN = frozenset({type(None), bool, int, float, str, datetime})
_LISTS = (list, tuple, set, frozenset)
#: those of which none is NaN or infinite
_ALWAYS_FINITE = frozenset({int, str})


def plain(value: Any) -> Any:
    """Give a value in BSON's own types: no NumPy, no tuples, no enums; keys without dots or $.

    Raises
    ------
    TypeError
        There is no such type in BSON.
    """
    kind = type(value)
    if kind in _OWN:
        return value
    if kind is list or isinstance(value, _LISTS):
        # most of what there is are numbers, rows of them, and matrices
        if _OWN.issuperset(map(type, value)):
            return list(value)
        return _rows(value) or [plain(item) for item in value]
    if kind is dict or isinstance(value, Mapping):
        return {_safe_key(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.generic | np.ndarray):
        if value.dtype.kind == "f":  # long doubles too
            return value.astype(float).tolist()
        own = value.tolist()
        return own if value.dtype.kind in "biu" else plain(own)
    if isinstance(value, Enum):
        return plain(value.value)
    for kind in (int, float, str):
        if isinstance(value, kind):
            return kind(value)
    if isinstance(value, datetime):
        return value
    raise TypeError(f"a {type(value).__name__} cannot be stored")


def _rows(value: Collection[Any]) -> list[Any] | None:
    """Copy of lists of lists, or of lists of lists of lists, of plain values; None of all else."""
    if set(map(type, value)) != {list}:
        return None
    rows = list(chain.from_iterable(value))
    kinds = set(map(type, rows))
    if kinds <= _OWN:
        return [list(row) for row in value]
    if kinds == {list} and _OWN.issuperset(map(type, chain.from_iterable(rows))):
        return [[list(row) for row in matrix] for matrix in value]
    return None


@lru_cache(maxsize=4096, typed=True)  # 1, 1.0 and True are one key otherwise
def _safe_key(key: Hashable) -> str:
    """Give a key that MongoDB can address."""
    name = str(key.value if isinstance(key, Enum) else key)
    return name.replace(".", "_").replace("$", "_").replace("\0", "_")


def is_finite(value: Any) -> bool:
    """Whether no float in a plain value is NaN or infinite."""
    if type(value) is list:
        kinds = set(map(type, value))
        if kinds <= _ALWAYS_FINITE:
            return True
        if kinds == {float}:
            return all(map(math.isfinite, value))
        return (
            is_finite(list(chain.from_iterable(value)))
            if kinds == {list}
            else all(map(is_finite, value))
        )
    if type(value) is dict:
        return all(map(is_finite, value.values()))
    return type(value) is not float or math.isfinite(value)
