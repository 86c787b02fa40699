"""One step after another, as a loop that stays one node in an exported graph."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch._higher_order_ops.scan import scan as traced_scan


def scan(step: Callable, state: Tensor, inputs: tuple[Tensor, ...]) -> tuple[Tensor, Tensor | None]:
    """Fold `step(state, slices) -> (state, output)` over the first axis of `inputs`: the last state and the outputs,
    stacked. A step without output returns () for it.

    In an exported graph this is one ONNX Scan, however many steps there are. Elsewhere it is a plain loop, since
    PyTorch's own scan would compile every step function first.
    """
    if torch.compiler.is_compiling():
        return traced_scan(step, state, inputs, dim=0)
    outputs = []
    for slices in zip(*inputs):
        state, output = step(state, slices)
        outputs.append(output)
    return state, torch.stack(outputs) if isinstance(output, Tensor) else None
