"""Makes tests/data/bright-model: a model that calls whatever is bright what it was asked for, in CT, MR and PET.

Its masks are where a voxel's normalised intensity is over a threshold, a class's own, so that a test knows from the image where
every mask has to lie: files, orientations and objects made of them are proved with it, not the finding of organs.

Needs onnx (tried with 1.22): python tests/golden/make_bright_model.py
The tokenizer is sat-mini's; the tests put it beside the graphs.
"""

import numpy as np
from onnx import TensorProto, helper
from small_model import HERE, save, value, write_manifest

OUT = HERE.parent / "data/bright-model"
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


def main():
    OUT.mkdir(exist_ok=True)
    node, single, whole = helper.make_node, TensorProto.FLOAT, TensorProto.INT64
    space = [SIZE] * 3
    first = np.zeros((1, WIDTH, 1, 1, 1), np.float32)
    first[0, 0] = 1
    save(
        OUT,
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
        OUT,
        "query_decoder",
        [node("Mul", ["memory", "nothing"], ["none"]), node("Add", ["none", "query"], ["mask_embedding"])],
        [value("memory", single, [1, WIDTH]), value("query", single, ["n", WIDTH])],
        [value("mask_embedding", single, ["n", WIDTH])],
        {"nothing": np.zeros(1, np.float32)},
    )
    embedding = np.zeros((1, WIDTH), np.float32)
    embedding[0, 0] = 1
    save(
        OUT,
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
    classes = "\n".join(
        f'[[classes]]\nname = "{name}"\nmodalities = ["ct", "mri", "pet"]\nthreshold = {threshold}\n'
        for name, threshold in CLASSES.items()
    )
    write_manifest(OUT, "make_bright_model.py", "fp32", [1.0, 1.0, 3.0], space, WIDTH, classes)


if __name__ == "__main__":
    main()
