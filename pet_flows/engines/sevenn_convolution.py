"""SevenNet's convolution with channels last, so that a CPU or GPU reads numbers side by side.

A message is the tensor product of a neighbour's features with the spherical harmonics of an edge,
times a weight for each channel and path. e3nn computes it path by path, channels first, with
products of all components that are summed afterwards, and gradients of slices that are filled up
with zeros. Here all paths of features of one degree are one product of matrices, and messages are
summed onto atoms before they are put in e3nn's order.
"""

from __future__ import annotations

from typing import Any

import torch


class Convolution(torch.nn.Module):
    """What ``IrrepsConvolution`` computes, from one that was read.

    Clebsch-Gordan coefficients are made in its dtype: e3nn keeps those of its tensor products in
    float32, which breaks invariance in float64 by some 1e-8 of an energy's parts.

    Parameters
    ----------
    read
        ``sevenn.nn.convolution.IrrepsConvolution``, of paths that keep channels apart (``uvu``).
    dtype
        Of features.
    """

    def __init__(self, read: Any, dtype: torch.dtype):
        from e3nn.o3 import wigner_3j

        super().__init__()
        product = read.convolution
        self._weights, self._denominator = read.weight_nn, read.denominator
        self._keys = read.key_x, read.key_filter, read.key_weight_input, read.key_edge_idx
        #: channels and components of features, by degree
        self._shapes = [(block.mul, block.ir.dim) for block in product.irreps_in1]
        self._channels = [self._shapes[path.i_in1][0] for path in product.instructions]
        #: by degree: which path, and how many components and what place its messages have
        self._paths: list[list[tuple[int, int, int]]] = [[] for _ in self._shapes]
        coefficients: list[list[torch.Tensor]] = [[] for _ in self._shapes]
        places = product.irreps_in2.slices()
        for number, path in enumerate(product.instructions):
            one, harmonic, out = (
                irreps[index].ir
                for irreps, index in (
                    (product.irreps_in1, path.i_in1),
                    (product.irreps_in2, path.i_in2),
                    (product.irreps_out, path.i_out),
                )
            )
            clebsch_gordan = wigner_3j(one.l, harmonic.l, out.l, dtype=torch.float64)
            rows = torch.zeros(product.irreps_in2.dim, out.dim, one.dim, dtype=torch.float64)
            rows[places[path.i_in2]] = path.path_weight * clebsch_gordan.permute(1, 2, 0)
            coefficients[path.i_in1].append(rows)
            self._paths[path.i_in1].append((number, out.dim, path.i_out))
        joined = [torch.cat(blocks, dim=1) for blocks in coefficients]
        self._rows = [block.shape[1] for block in joined]
        flat = torch.cat([block.flatten(1) for block in joined], dim=1)
        self.register_buffer("_coefficients", flat.to(self._denominator.device, dtype))

    def forward(self, data: dict[str, Any]) -> dict[str, Any]:
        """Features of atoms become sums of messages, in place of ``data``."""
        features, harmonics, radial, edges = (data[key] for key in self._keys)
        to, of = edges
        weights = self._weights(radial).split(self._channels, dim=1)
        sizes = [rows * width for rows, (_, width) in zip(self._rows, self._shapes, strict=True)]
        couplings = (harmonics @ self._coefficients).split(sizes, dim=1)
        blocks = features.split([channels * width for channels, width in self._shapes], dim=1)
        sums: dict[int, torch.Tensor] = {}
        for paths, block, coupling, rows, (channels, width) in zip(
            self._paths, blocks, couplings, self._rows, self._shapes, strict=True
        ):
            last = block.unflatten(1, (channels, width)).transpose(1, 2).flatten(1)
            sent = last.index_select(0, of).unflatten(1, (width, channels))
            coupling = coupling.unflatten(1, (rows, width))
            joint = coupling if width == 1 else torch.bmm(coupling, sent)
            parts = joint.split([components for _, components, _ in paths], dim=1)
            for (number, components, place), part in zip(paths, parts, strict=True):
                weight = weights[number].unsqueeze(1)
                # scalars are weighted before they get components
                message = torch.bmm(part, sent * weight) if width == 1 else part * weight
                onto = message.new_zeros(len(features), components * channels)
                onto = onto.index_add(0, to, message.flatten(1)).unflatten(1, (-1, channels))
                sums[place] = onto.transpose(1, 2).flatten(1)
        ordered = torch.cat([sums[place] for place in sorted(sums)], dim=1)
        data[self._keys[0]] = ordered / self._denominator
        return data


def with_channels_last(modules: dict[str, torch.nn.Module], dtype: torch.dtype) -> None:
    """Replace the convolutions of a SevenNet; another kind of convolution stays as it is.

    Parameters
    ----------
    modules
        Of the model by name; changed in place.
    dtype
        Of the model.
    """
    from sevenn.nn.convolution import IrrepsConvolution

    for name, module in modules.items():
        if type(module) is IrrepsConvolution and _keeps_channels_apart(module.convolution):
            modules[name] = Convolution(module, dtype)


def _keeps_channels_apart(product: Any) -> bool:
    """Each output of one path, and each degree of features with one."""
    paths = product.instructions
    return (
        all(block.mul == 1 for block in product.irreps_in2)
        and all(path.connection_mode == "uvu" and path.has_weight for path in paths)
        and sorted(path.i_out for path in paths) == list(range(len(product.irreps_out)))
        and {path.i_in1 for path in paths} == set(range(len(product.irreps_in1)))
    )
