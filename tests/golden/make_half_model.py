"""Makes tests/data/half-model: three graphs small enough to read, whose backbone counts in half precision.

Needs onnx (tried with 1.22): python tests/golden/make_half_model.py
The tokenizer is sat-mini's; the tests put it beside them.
"""

import hashlib
import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = pathlib.Path(__file__).resolve().parent
OUT = HERE.parent / "data/half-model"
TOKENIZER = HERE.parents[1] / "onnx/sat-mini/tokenizer.json"
SIZE, WIDTH = 8, 4
RNG = np.random.default_rng(5)


def value(name, kind, shape):
    return helper.make_tensor_value_info(name, kind, shape)


def save(name, nodes, inputs, outputs, weights):
    tensors = [numpy_helper.from_array(array, key) for key, array in weights.items()]
    graph = helper.make_graph(nodes, name, inputs, outputs, initializer=tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    (OUT / f"{name}.onnx").write_bytes(model.SerializeToString(deterministic=True))


def main():
    OUT.mkdir(exist_ok=True)
    node, single, half, whole = helper.make_node, TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT64
    space = [SIZE] * 3
    save(
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
        "query_decoder",
        [node("Add", ["memory", "query"], ["mask_embedding"])],
        [value("memory", single, [1, WIDTH]), value("query", single, ["n", WIDTH])],
        [value("mask_embedding", single, ["n", WIDTH])],
        {},
    )
    save(
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
    files = {path.name: path for path in sorted(OUT.glob("*.onnx"))} | {"tokenizer.json": TOKENIZER}
    hashes = "\n".join(f'"{name}" = "{hashlib.sha256(path.read_bytes()).hexdigest()}"' for name, path in files.items())
    (OUT / "model.toml").write_text(
        f"""# Made by tests/golden/make_half_model.py.
format = 1
name = "half-model"
version = "0"
architecture = "UNET"
licence = "Apache-2.0"
precision = "fp16"

[preparation]
orientation = "RAS"
spacing_mm = [3.0, 3.0, 3.0]
ct_window_hu = [-500.0, 1000.0]
percentiles = [0.5, 99.5]

[window]
size = {space}

[text]
graph = "text_encoder.onnx"
tokenizer = "tokenizer.json"
kind = "ours"
max_length = 256
query_width = {WIDTH}

[backbone]
graph = "backbone.onnx"
feature_width = {WIDTH}
memory_tokens = 1
memory_width = {WIDTH}

[decoder]
graph = "query_decoder.onnx"

[files]
{hashes}

[[classes]]
name = "brain"
modalities = ["mri"]
"""
    )


if __name__ == "__main__":
    main()
