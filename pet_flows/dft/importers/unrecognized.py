"""Why a source is of no kind: it is empty, was cut off, or is broken."""

from __future__ import annotations

import json
import lzma
import zlib
from pathlib import Path

from pet_flows.inputs.identifiers import bare_name
from pet_flows.inputs.text import DamagedError, first_line, quoted, read_text, refuse_disguised

DAMAGED = (OSError, EOFError, ValueError, RecursionError, zlib.error, lzma.LZMAError)
"""What reading a damaged file, compressed or not, raises."""


def fault_of(path: Path) -> str | None:
    """What is wrong with a file or folder, as it follows its name in a sentence.

    Parameters
    ----------
    path
        It is there.

    Returns
    -------
    str or None
        None where nothing is wrong that can be seen without knowing what it is.
    """
    if path.is_dir():
        return None if any(path.iterdir()) else "is an empty folder: name another."
    if not path.stat().st_size:
        return "is empty: restore it, or name another."
    try:
        refuse_disguised(path, "DFT result", binary=True)
        suffix = Path(bare_name(path)).suffix.lower()
        text = read_text(path)
        if suffix != ".json":
            return None
        content = json.loads(text)
    except DamagedError as error:
        return str(error)
    except DAMAGED as error:
        return f"cannot be read ({first_line(error)}): correct it, or download it again."
    if not content:
        return "holds nothing: name another file."
    documents = content if isinstance(content, list) else [content]
    if not any(isinstance(one, dict | list) for one in documents):
        return f"holds {quoted(text.strip())} instead of documents: name another file."
    return None
