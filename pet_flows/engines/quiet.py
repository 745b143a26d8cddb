"""torch-sim, imported without the greeting of Warp, whose kernels are not used here.

Warp prints its version and devices at import, and from compiled code that it sees no GPU driver.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def _unheard() -> Iterator[None]:
    """Nothing on stderr, of compiled code neither; exceptions pass."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


with _unheard():
    with suppress(ImportError):  # torch-sim does without
        import warp

        warp.config.log_level = warp.LOG_ERROR
    import torch_sim

__all__ = ["torch_sim"]
