"""What a backbone's arithmetic must be turned into before it is exported, for single and for half precision.

Runtimes have an InstanceNormalization of their own, but on CPUs ONNX Runtime's and OpenVINO's add millions of numbers
one after another in float32: features of a half-padded 96 x 96 x 96 window are off by 8e-4 and 15e-4 of their range,
and it grows with the window. In single precision a norm is therefore spelled out, with averages of averages: 2e-6 with
both. In half precision, which is for GPUs, it is left to the runtime.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MOST_IN_HALF = 65504.0
"""The largest number of float16."""
NORMS = (nn.InstanceNorm3d, nn.LayerNorm)


class CarefulInstanceNorm(nn.InstanceNorm3d):
    """The same function and weights as its parent's."""

    def forward(self, input: Tensor) -> Tensor:
        centred = input - average(input)
        normed = centred * torch.rsqrt(average(centred * centred) + self.eps)
        if not self.affine:
            return normed
        return normed * self.weight[:, None, None, None] + self.bias[:, None, None, None]


def average(x: Tensor) -> Tensor:
    """Mean of each channel, [b, c, x, y, z] -> [b, c, 1, 1, 1], block by block."""
    while all(side % 2 == 0 for side in x.shape[2:]):
        x = F.avg_pool3d(x, 4 if all(side % 4 == 0 for side in x.shape[2:]) else 2)
    return x.mean((2, 3, 4), keepdim=True)


def make_careful(module: nn.Module) -> None:
    """Let a module's instance norms be spelled out in graphs."""
    for part in module.modules():
        if type(part) is nn.InstanceNorm3d:
            part.__class__ = CarefulInstanceNorm


def halve(module: nn.Module) -> None:
    """Turn a module's weights to float16 in place, save those of its norms and of parts that say `in_float32 = True`
    (such a part casts for itself). Norms compute in float32: the variance of eight million voxels is what float16
    cannot hold. SAT's own inference runs its convolutions in half precision too."""
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


@contextlib.contextmanager
def largest_values(module: nn.Module) -> Iterator[list[float]]:
    """Collects the largest magnitude of each output, and of each weight, that `halve` would turn to float16, while the
    module is run in float32. Processors compute half precision in float32, or not within hours, so that an overflow
    would show on a GPU alone."""
    peaks: list[float] = []

    def note(_: nn.Module, __: tuple, output: object) -> None:
        outputs = output if isinstance(output, (tuple, list)) else (output,)
        peaks.extend(peak(x) for x in outputs if isinstance(x, Tensor))

    handles = []

    def visit(part: nn.Module) -> None:
        handles.append(part.register_forward_hook(note))
        if not getattr(part, "in_float32", False):
            peaks.extend(peak(weight) for weight in part.parameters(recurse=False))
            for child in part.children():
                visit(child)

    visit(module)
    try:
        yield peaks
    finally:
        for handle in handles:
            handle.remove()


def peak(x: Tensor) -> float:
    low, high = x.detach().aminmax()
    return float(torch.maximum(low.abs(), high.abs()))


def to_float32(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(x.to(torch.float32) for x in inputs)


def to_float16(_: nn.Module, __: tuple[Tensor, ...], output: Tensor) -> Tensor:
    return output.to(torch.float16)
