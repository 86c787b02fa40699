"""A backbone in half precision: weights and convolutions in float16, norms in float32.

A norm's variance over a window of eight million voxels is what float16 cannot hold; everything else it can, and SAT's
own inference runs its convolutions in half precision too.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

NORMS = (nn.InstanceNorm3d, nn.LayerNorm)


def halve(module: nn.Module) -> None:
    """Turn a module's weights to float16 in place, save those of its norms and of parts that say `in_float32 = True`
    (such a part casts for itself)."""
    done: set[nn.Module] = set()

    def visit(part: nn.Module) -> None:
        if part in done or getattr(part, "in_float32", False):
            return
        done.add(part)
        if isinstance(part, NORMS):
            part.register_forward_pre_hook(to_float32)
            part.register_forward_hook(to_float16)
            return
        for weight in part.parameters(recurse=False):
            weight.data = weight.data.half()
        for child in part.children():
            visit(child)

    visit(module)


def to_float32(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(x.to(torch.float32) for x in inputs)


def to_float16(_: nn.Module, __: tuple[Tensor, ...], output: Tensor) -> Tensor:
    return output.to(torch.float16)
