"""Makes tests/data/bright-model: a model that calls whatever is bright what it was asked for, in CT, MR and PET.

Its masks are where a voxel's normalised intensity is over a threshold, a class's own, so that a test knows from the image where
every mask has to lie: files, orientations and objects made of them are proved with it, not the finding of organs.

Needs onnx (tried with 1.22): python tests/golden/make_bright_model.py
The tokenizer is sat-mini's; the tests put it beside the graphs.
"""

import hashlib
import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = pathlib.Path(__file__).resolve().parent
OUT = HERE.parent / "data/bright-model"
TOKENIZER = HERE.parents[1] / "onnx/sat-mini/tokenizer.json"
SIZE, WIDTH = 64, 4
# Of the sigmoid of the normalised intensity: half is the image's mean.
CLASSES = {
    "brain": 0.5,
    "left kidney": 0.5,
    "left lung lower lobe": 0.55,
    "liver": 0.6,
    "liver tumor": 0.8,
    "lung nodule": 0.999999,
    "right kidney": 0.7,
    "spleen": 0.5,
    "visceral adipose tissue": 0.65,
}


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
    node, single, whole = helper.make_node, TensorProto.FLOAT, TensorProto.INT64
    space = [SIZE] * 3
    first = np.zeros((1, WIDTH, 1, 1, 1), np.float32)
    first[0, 0] = 1
    save(
        "backbone",
        [
            node("Mul", ["image", "first"], ["features"]),
            node("ReduceMean", ["features"], ["memory"], axes=[2, 3, 4], keepdims=0),
        ],
        [value("image", single, [1, 1, *space])],
        [value("features", single, [1, WIDTH, *space]), value("memory", single, [1, WIDTH])],
        {"first": first},
    )
    save(
        "query_decoder",
        [node("Mul", ["memory", "nothing"], ["none"]), node("Add", ["none", "query"], ["mask_embedding"])],
        [value("memory", single, [1, WIDTH]), value("query", single, ["n", WIDTH])],
        [value("mask_embedding", single, ["n", WIDTH])],
        {"nothing": np.zeros(1, np.float32)},
    )
    embedding = np.zeros((1, WIDTH), np.float32)
    embedding[0, 0] = 1
    save(
        "text_encoder",
        [
            node("Mul", ["input_ids", "attention_mask"], ["ids"]),
            node("Cast", ["ids"], ["numbers"], to=single),
            node("Cast", ["modality"], ["number"], to=single),
            node("ReduceMean", ["numbers"], ["mean"], axes=[1], keepdims=0),
            node("Add", ["mean", "number"], ["read"]),
            node("Mul", ["read", "nothing"], ["none"]),
            node("Unsqueeze", ["none", "last"], ["column"]),
            node("Add", ["column", "embedding"], ["query"]),
        ],
        [value("input_ids", whole, ["n", "l"]), value("attention_mask", whole, ["n", "l"]), value("modality", whole, ["n"])],
        [value("query", single, ["n", WIDTH])],
        {"nothing": np.zeros(1, np.float32), "embedding": embedding, "last": np.array([1], np.int64)},
    )
    files = {path.name: path for path in sorted(OUT.glob("*.onnx"))} | {"tokenizer.json": TOKENIZER}
    hashes = "\n".join(f'"{name}" = "{hashlib.sha256(path.read_bytes()).hexdigest()}"' for name, path in files.items())
    classes = "\n".join(
        f'[[classes]]\nname = "{name}"\nmodalities = ["ct", "mri", "pet"]\nthreshold = {threshold}\n'
        for name, threshold in CLASSES.items()
    )
    (OUT / "model.toml").write_text(
        f"""# Made by tests/golden/make_bright_model.py.
format = 1
name = "bright-model"
version = "0"
architecture = "UNET"
licence = "Apache-2.0"
precision = "fp32"

[preparation]
orientation = "RAS"
spacing_mm = [1.0, 1.0, 3.0]
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

{classes}"""
    )


if __name__ == "__main__":
    main()
