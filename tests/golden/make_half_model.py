"""Makes tests/data/half-model: three graphs small enough to read, whose backbone counts in half precision.

Needs onnx (tried with 1.22): python tests/golden/make_half_model.py
The tokenizer is sat-mini's; the tests put it beside them.
"""

import numpy as np
from onnx import TensorProto, helper
from small_model import HERE, save, value, write_manifest

OUT = HERE.parent / "data/half-model"
SIZE, WIDTH = 8, 4
RNG = np.random.default_rng(5)


def main():
    OUT.mkdir(exist_ok=True)
    node, single, half, whole = helper.make_node, TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT64
    space = [SIZE] * 3
    save(
        OUT,
        "backbone",
        [
            node("Cast", ["image"], ["half_image"], to=half),
            node("Conv", ["half_image", "kernel", "bias"], ["features"], pads=[1] * 6),
            node("ReduceMean", ["features"], ["mean"], axes=[2, 3, 4], keepdims=0),
            node("Cast", ["mean"], ["memory"], to=single),
        ],
        [value("image", single, [1, 1, *space])],
        [value("features", half, [1, WIDTH, *space]), value("memory", single, [1, WIDTH])],
        {
            "kernel": RNG.standard_normal((WIDTH, 1, 3, 3, 3)).astype(np.float16),
            "bias": RNG.standard_normal(WIDTH).astype(np.float16),
        },
    )
    save(
        OUT,
        "query_decoder",
        [node("Add", ["memory", "query"], ["mask_embedding"])],
        [value("memory", single, [1, WIDTH]), value("query", single, ["n", WIDTH])],
        [value("mask_embedding", single, ["n", WIDTH])],
        {},
    )
    save(
        OUT,
        "text_encoder",
        [
            node("Mul", ["input_ids", "attention_mask"], ["ids"]),
            node("Cast", ["ids"], ["numbers"], to=single),
            node("ReduceMean", ["numbers"], ["mean"], axes=[1], keepdims=1),
            node("MatMul", ["mean", "spread"], ["of_text"]),
            node("Cast", ["modality"], ["number"], to=single),
            node("Unsqueeze", ["number", "last"], ["of_modality"]),
            node("Add", ["of_text", "of_modality"], ["query"]),
        ],
        [value("input_ids", whole, ["n", "l"]), value("attention_mask", whole, ["n", "l"]), value("modality", whole, ["n"])],
        [value("query", single, ["n", WIDTH])],
        {"spread": np.full((1, WIDTH), 0.01, np.float32), "last": np.array([1], np.int64)},
    )
    write_manifest(OUT, "make_half_model.py", "fp16", [3.0, 3.0, 3.0], space, WIDTH, '[[classes]]\nname = "brain"\nmodalities = ["mri"]\n')


if __name__ == "__main__":
    main()
