"""One run of the published algorithm in PyTorch, in numbers: the other side of benches/engine.rs.

    python benches/reference.py search --model DIR --image FILE --modality mri --targets 20
    python benches/reference.py window --model DIR [--bf16]

It takes the weights out of the model folder's own graphs, so both sides compute with the same, for the same names. The loop is the
published one (its inference_engine): every window's probabilities of all targets are added up in two float32 volumes a target.
Prints one line of JSON; loading is not timed, here as there.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import numpy_helper
from tokenizers import Tokenizer

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(CHECKOUT / "tools"), str(CHECKOUT / "tools" / "tests")]

import published
from sat_tools.inference import tomllib
from sat_tools.network import SAT_MINI, UNET, SatNetwork, position_code
from sat_tools.text import MODALITIES, encode_texts


def load(folder: Path) -> tuple[dict, SatNetwork]:
    """A model folder's figures, and the network with the weights of its graphs: one input channel, as exported."""
    entries = tomllib.loads((folder / "model.toml").read_text(encoding="utf-8"))
    sizes = next(s for s in (UNET, SAT_MINI) if s.feature_width == entries["backbone"]["feature_width"])
    network = SatNetwork(replace(sizes, in_channels=1)).eval()
    weights = {}
    for part in ("backbone", "decoder"):
        weights |= weights_of(onnx.load(folder / entries[part]["graph"]).graph)
    for name, tensor in network.state_dict().items():
        # Checkpoints name convolutions and their norms twice, graphs once.
        aliases = (name, name.replace(".conv.", ".all_modules.0."), name.replace(".norm.", ".all_modules.1."))
        found = next((weights[alias] for alias in aliases if alias in weights), None)
        if found is not None:
            tensor.copy_(torch.from_numpy(found.astype(np.float32)).reshape(tensor.shape))
        elif "norm1" not in name:
            raise SystemExit(f"{folder}: its graphs hold no {name}")
    return entries, network


def weights_of(graph: onnx.GraphProto) -> dict[str, np.ndarray]:
    """Weights by their names in a checkpoint. A linear layer's matrix is stored transposed, under a name that says nothing; the bias
    that is added after it says which it is."""
    constants = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
    weights = {name.removeprefix("network."): value for name, value in constants.items()}
    products = {n.output[0]: n.input[1] for n in graph.node if n.op_type == "MatMul" and n.input[1] in constants}
    for node in graph.node:
        if node.op_type == "Add" and node.input[0] in products and node.input[1].endswith(".bias"):
            name = node.input[1].removeprefix("network.").removesuffix("bias") + "weight"
            weights[name] = constants[products[node.input[0]]].T.copy()
    # Norms are spelled out: after a convolution comes one product and one sum with a number a channel.
    norm = None
    for node in graph.node:
        if node.op_type == "Conv":
            norm = node.input[1].removeprefix("network.").replace("all_modules.0.weight", "all_modules.1.")
        constant = next((constants[i] for i in node.input if i in constants), None)
        if node.op_type in ("Mul", "Add") and constant is not None and constant.shape[1:] == (1, 1, 1):
            weights[norm + ("weight" if node.op_type == "Mul" else "bias")] = constant
    return weights


class Clock:
    def __init__(self) -> None:
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def read(self) -> dict:
        return {"wall_s": time.perf_counter() - self.wall, "cpu_s": time.process_time() - self.cpu}


def search(args: argparse.Namespace) -> dict:
    entries, network = load(args.model)
    window = tuple(entries["window"]["size"])
    encoder = onnxruntime.InferenceSession(args.model / entries["text"]["graph"], providers=["CPUExecutionProvider"])
    tokenizer = Tokenizer.from_file(str(args.model / entries["text"]["tokenizer"]))
    names = dict.fromkeys(c.get("prompt", c["name"]) for c in entries["classes"])
    texts = [name.lower() for name in list(names)[: args.targets]]
    clock = Clock()
    ids, mask = encode_texts(tokenizer, texts)
    codes = np.full(len(texts), MODALITIES[args.modality], dtype=np.int64)
    words = {"input_ids": ids.numpy(), "attention_mask": mask.numpy(), "modality": codes}
    query = torch.from_numpy(encoder.run(["query"], words)[0])
    preparation = entries["preparation"]
    prepared = published.prepare(args.image, args.modality, preparation["orientation"], preparation["spacing_mm"])
    volume = prepared.volume
    tokens = [n // network.sizes.stride for n in window]
    position = position_code(tokens, network.sizes.memory_width)
    weight = published.importance(window)
    total = torch.zeros(len(texts), *volume.shape)
    weights = torch.zeros(len(texts), *volume.shape)
    places = published.windows(tuple(volume.shape), window)
    for place in places:
        patch = torch.zeros(window)
        part = volume[place]
        inside = tuple(slice(0, n) for n in part.shape)
        patch[inside] = part
        features, memory = network.encode(patch[None, None])
        embedding = network.decode(memory, query[:, None], position)[:, 0]
        probability = torch.sigmoid(torch.einsum("nc,cxyz->nxyz", embedding, features[0]))
        del features
        total[(slice(None), *place)] += probability[(slice(None), *inside)] * weight[inside]
        weights[(slice(None), *place)] += weight[inside]
    masks = torch.where(total / weights > 0.5, 1.0, 0.0)
    return {**clock.read(), "windows": len(places), "voxels": int(masks.sum(dtype=torch.float64))}


def window(args: argparse.Namespace) -> dict:
    entries, network = load(args.model)
    image = torch.randn(1, 1, *entries["window"]["size"])
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=args.bf16):
        network.encode(image)  # the first is for warming up, as on the other side
        clock = Clock()
        network.encode(image)
    return clock.read()


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["search", "window"])
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--image", type=Path)
    parser.add_argument("--modality", default="ct")
    parser.add_argument("--targets", type=int, default=1)
    parser.add_argument("--bf16", action="store_true")
    args = parser.parse_args()
    figures = search(args) if args.what == "search" else window(args)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({**figures, "peak": peak, "torch": torch.__version__}))


if __name__ == "__main__":
    np.random.seed(0)
    torch.manual_seed(0)
    main()
