"""Wigner 3j coefficients of e3nn's tensor products in the precision of the model.

e3nn keeps them as buffers, made in the default number type of when the model was made. Where that
was float32, a model that is converted keeps coefficients that are wrong by some 1e-8, which
breaks invariance as much. They are no weights: nothing was fitted to their rounding, so that those
of the exact ones are what the model was meant to be.
"""

from __future__ import annotations

import re

import torch

_NAME = re.compile(r"_w3j_(\d+)_(\d+)_(\d+)")
#: more than rounding to float32 changes coefficients, which are at most of the order of 1
_ROUNDING = 1e-6


def replace_rounded(rounded: torch.Tensor, exact: torch.Tensor) -> None:
    """Put exact coefficients in the place of those that were rounded to float32.

    Parameters
    ----------
    rounded
        Buffer of a model, changed in place. Coefficients of another convention or basis than
        ``exact``, to which weights were fitted, and those that are not float64, stay.
    exact
        float64.
    """
    if rounded.dtype == torch.float64 and rounded.shape == exact.shape:
        exact = exact.to(rounded.device)
        if torch.allclose(rounded, exact, rtol=0.0, atol=_ROUNDING):
            with torch.no_grad():
                rounded.copy_(exact)


def with_exact_coefficients(model: torch.nn.Module) -> None:
    """Make the coefficients of all tensor products exact to the round-off of float64.

    Parameters
    ----------
    model
        In float64 already, changed in place; in float32 it stays as it is.
    """
    from e3nn.o3 import wigner_3j

    for path, buffer in model.named_buffers():
        if found := _NAME.fullmatch(path.rpartition(".")[2]):
            one, two, three = (int(degree) for degree in found.groups())
            replace_rounded(buffer, wigner_3j(one, two, three, dtype=torch.float64))
