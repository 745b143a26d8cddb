"""Data as scripts, the one way in which a page opened from a disk can be given them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

#: significant digits of numbers, more than is ever shown and less than half of all of them
_DIGITS = 8
#: what would end a script, or a line of it, inside of a text
_ESCAPED = {"<": "\\u003c", ">": "\\u003e", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def script(name: str, value: Any) -> str:
    """``window.NAME = …;`` with nothing in it that a browser takes for markup.

    Parameters
    ----------
    name
        Of the variable.
    value
        Mappings, lists, arrays, numbers, texts and dates; what is not finite becomes null.
    """
    text = json.dumps(plain(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character, escape in _ESCAPED.items():
        text = text.replace(character, escape)
    return f"window.{name} = {text};\n"


def write_script(path: Path, name: str, value: Any) -> None:
    """Write `script` into a file, whose folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(script(name, value), encoding="utf-8")


def plain(value: Any) -> Any:
    """Give a value as JSON has it, numbers rounded to eight significant digits."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, date):
        return value.isoformat()
    return str(value)
