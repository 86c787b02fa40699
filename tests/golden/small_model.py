"""What the scripts that make models for tests have in common: graphs small enough to read, and their manifest."""

import hashlib
import pathlib

import onnx
from onnx import helper, numpy_helper

HERE = pathlib.Path(__file__).resolve().parent
TOKENIZER = HERE.parents[1] / "onnx/sat-mini/tokenizer.json"


def value(name, kind, shape):
    return helper.make_tensor_value_info(name, kind, shape)


def save(out, name, nodes, inputs, outputs, weights):
    tensors = [numpy_helper.from_array(array, key) for key, array in weights.items()]
    graph = helper.make_graph(nodes, name, inputs, outputs, initializer=tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    (out / f"{name}.onnx").write_bytes(model.SerializeToString(deterministic=True))


def write_manifest(out, script, precision, spacing, window, width, classes):
    """model.toml of the graphs in `out`; `classes` is how it ends."""
    files = {path.name: path for path in sorted(out.glob("*.onnx"))} | {"tokenizer.json": TOKENIZER}
    hashes = "\n".join(f'"{name}" = "{hashlib.sha256(path.read_bytes()).hexdigest()}"' for name, path in files.items())
    (out / "model.toml").write_text(
        f"""# Made by tests/golden/{script}.
format = 1
name = "{out.name}"
version = "0"
architecture = "UNET"
licence = "Apache-2.0"
precision = "{precision}"

[preparation]
orientation = "RAS"
spacing_mm = {spacing}
ct_window_hu = [-500.0, 1000.0]
percentiles = [0.5, 99.5]

[window]
size = {window}

[text]
graph = "text_encoder.onnx"
tokenizer = "tokenizer.json"
kind = "ours"
max_length = 256
query_width = {width}

[backbone]
graph = "backbone.onnx"
feature_width = {width}
memory_tokens = 1
memory_width = {width}

[decoder]
graph = "query_decoder.onnx"

[files]
{hashes}

{classes}"""
    )
