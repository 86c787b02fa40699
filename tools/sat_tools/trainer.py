"""The loop that trains a SAT network: steps, mixed precision, several processes, averaged weights, checkpoints to go on from.

What is trained on comes as a stream of `Sample`s; `heads.py` renders them, `images.py` reads them.
"""

from __future__ import annotations

import contextlib
import copy
import ctypes
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader

from .checkpoint import CheckpointError, first_line
from .losses import auxiliary_loss, query_loss
from .network import SatNetwork, position_code
from .sample import Sample, Samples
from .text import MODALITIES, FirstTokenEncoder, TextEncoder, encode_texts


class Asked(nn.Module):
    """Both halves of SAT and, where one helps, a voxel classifier on the same features, which no export takes along."""

    def __init__(self, network: SatNetwork, text: TextEncoder | FirstTokenEncoder, labels: int | None = None) -> None:
        super().__init__()
        self.network, self.text = network, text
        self.auxiliary = None if labels is None else nn.Conv3d(network.sizes.feature_width, labels, 1)

    def forward(
        self, image: Tensor, ids: Tensor, mask: Tensor, modality: Tensor, chosen: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """Image [1, channels, x, y, z], n prompts, indices of m voxels -> logits [n, m] and label scores [labels, m]."""
        sizes = self.network.sizes
        features, memory = self.network.encode(image)
        query = self.text(ids, mask, modality)
        position = position_code([n // sizes.stride for n in image.shape[2:]], sizes.memory_width)
        embedding = self.network.decode(memory, query[:, None], position.to(memory))
        some = features[0].flatten(1)[:, chosen]
        logits = embedding[:, 0] @ some
        if self.auxiliary is None:
            return logits, None
        return logits, self.auxiliary.weight.flatten(1) @ some + self.auxiliary.bias[:, None]


@dataclass
class Schedule:
    """How many steps, and what goes by them."""

    steps: int
    rate: float = 3e-3
    """Highest learning rate."""
    warm: int = 50
    """Steps until it is reached."""
    balance: Callable[[float], float] = lambda progress: 0.0
    """Of `query_loss`, by progress."""
    auxiliary: Callable[[float], float] = lambda progress: 0.0
    """Weight of the auxiliary loss, by progress."""

    def rate_at(self, step: int) -> float:
        """A short warm-up, then a cosine down to a hundredth."""
        warm = min(1.0, (step + 1) / self.warm)
        return self.rate * warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(step / self.steps, 1.0))))


class Average:
    """Exponential mean of weights; shorter while little has been seen, so that it does not lag at the start."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model, self.decay, self.steps = copy.deepcopy(model).eval().requires_grad_(False), decay, 0

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        self.steps += 1
        decay = min(self.decay, self.steps / (self.steps + 20))
        for mean, new in zip(self.model.parameters(), model.parameters()):
            mean.lerp_(new, 1 - decay)


def keep_memory() -> None:
    """Have glibc keep freed memory. Feature maps are tens of megabytes, and returning them to the system and zeroing
    them anew at every step made a step ten times slower."""
    with contextlib.suppress(AttributeError, OSError):
        libc = ctypes.CDLL("libc.so.6")
        no_mmap, trim, top_pad = -4, -1, -2
        libc.mallopt(no_mmap, 0)
        libc.mallopt(trim, 2**31 - 1)
        libc.mallopt(top_pad, 2**29)


def save(path: Path, state: dict) -> None:
    part = path.with_name(f".{path.name}.part")
    try:
        torch.save(state, part)
        os.replace(part, path)
    except (OSError, RuntimeError) as error:  # PyTorch's own word for a full disk
        part.unlink(missing_ok=True)
        raise CheckpointError(
            f"{path}: could not be written ({first_line(error)}); make room, and the same command goes on from the last checkpoint"
        ) from None


class World:
    """The processes that train together: one a GPU where torchrun started several, else this one alone."""

    def __init__(self, threads: int) -> None:
        self.size, self.rank = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("RANK", 0))
        local = int(os.environ.get("LOCAL_RANK", 0))
        if torch.cuda.is_available():
            self.device = torch.device("cuda", local)
            torch.cuda.set_device(self.device)
        else:
            self.device = torch.device("cpu")
            torch.set_num_threads(threads)
            keep_memory()
        if self.size > 1:
            # All wait until each has prepared its share of the images, which may take hours.
            dist.init_process_group("nccl" if self.device.type == "cuda" else "gloo", timeout=timedelta(days=1))

    @property
    def leads(self) -> bool:
        return self.rank == 0

    def wait_for_all(self) -> None:
        if self.size > 1:
            dist.barrier()

    @property
    def precision(self) -> torch.dtype:
        """What products are computed in: half as many bits where the hardware computes with them or, on processors, has AVX-512."""
        if self.device.type == "cuda":
            return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
        return torch.bfloat16 if torch.backends.cpu.get_cpu_capability().startswith("AVX512") else torch.float32


@dataclass(frozen=True)
class Kept:
    """How averaged weights are kept, of every checkpoint or of the last ones."""

    write: Callable[[Path, Asked, dict], list[Path]]
    """Into a folder: the averaged model and what is known of it. The files."""
    names: tuple[str, ...]
    """What the files are called, as globs."""
    last: int | None = None


def write_average(out: Path, average: Asked, about: dict) -> list[Path]:
    """One file, as `start.load_own` reads it."""
    path = out / f"average-{about['step']:06d}.pt"
    save(path, {**about, "average": average.state_dict()})
    return [path]


AVERAGES = Kept(write_average, ("average-*.pt",))


class Trainer:
    """A model on its way, with all that a checkpoint needs. `RUN/checkpoint.pt` is gone on from; `kept` are averaged weights to
    choose among, with `about` beside them. `settled` is what may not change between the sittings of one run."""

    def __init__(
        self,
        model: Asked,
        tokenizer: Tokenizer,
        samples: Samples,
        schedule: Schedule,
        world: World,
        out: Path,
        about: dict,
        *,
        settled: dict | None = None,
        kept: Kept = AVERAGES,
        shares: Callable[[str], float] = lambda name: 1.0,
        label_weights: Tensor | None = None,
        decay: float = 0.998,
        workers: int = 1,
        save_minutes: float = 5,
    ) -> None:
        # Without dropout, so that a step is a function of its sample.
        self.model, self.tokenizer, self.samples = model.to(world.device).eval(), tokenizer, samples
        self.schedule, self.world, self.out, self.about = schedule, world, out, about
        self.settled, self.kept = settled or {}, kept
        self.label_weights, self.save_minutes, self.workers = label_weights, save_minutes, workers
        self.step, self.seconds = 0, 0.0
        self.average = Average(model, decay)
        for name, weight in model.named_parameters():
            # Weights that nothing uses (`norm1`) have no gradient; several processes would wait for it.
            unused = ".norm1." in name and "transformer_decoder" in name
            weight.requires_grad_(not unused and shares(name) > 0)
        self.optimiser = self.make_optimiser(shares)
        self.scaler = torch.amp.GradScaler(world.device.type, enabled=world.precision == torch.float16)
        if (out / "checkpoint.pt").exists():
            self.load()
        # What each process computes with: gradients are their mean.
        self.module = DistributedDataParallel(model) if world.size > 1 else model

    def make_optimiser(self, shares: Callable[[str], float]) -> torch.optim.Optimizer:
        """`shares`: what part of the learning rate a weight gets, by its name."""
        groups: dict[float, list[nn.Parameter]] = {}
        for name, weight in self.model.named_parameters():
            if weight.requires_grad:
                groups.setdefault(shares(name), []).append(weight)
        return torch.optim.AdamW(
            [{"params": weights, "share": share} for share, weights in groups.items()],
            lr=self.schedule.rate,
            weight_decay=1e-2,
            betas=(0.9, 0.98),
        )

    @property
    def progress(self) -> float:
        return self.step / self.schedule.steps

    def load(self) -> None:
        path = self.out / "checkpoint.pt"
        try:
            state = torch.load(path, weights_only=True, map_location=self.world.device)
            changed = [what for what, value in self.settled.items() if state.get("settled", {}).get(what) != value]
            if changed:
                raise ValueError(f"it was begun with another {', '.join(changed)}")
            self.model.load_state_dict(state["model"])
            self.average.model.load_state_dict(state["average"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.scaler.load_state_dict(state["scaler"])
            self.step, self.seconds = state["step"], state["seconds"]
        except Exception as error:  # a file of another network or another program fails in many ways
            raise CheckpointError(
                f"{path}: cannot be gone on from ({first_line(error)}); give another --out, or remove it to begin anew"
            ) from None
        self.average.steps = self.step
        if self.world.leads:
            print(f"going on from step {self.step}, {self.seconds / 60:.1f} min", flush=True)

    def save(self) -> None:
        if not self.world.leads:
            return
        about = {**self.about, "step": self.step, "seconds": self.seconds}
        whole = {
            **about,
            "settled": self.settled,
            "average": self.average.model.state_dict(),
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
        }
        save(self.out / "checkpoint.pt", whole)
        written = self.kept.write(self.out, self.average.model, about)
        if self.step == self.schedule.steps:
            print(f"done: {', '.join(map(str, written))}", flush=True)
        if self.kept.last is not None:
            for names in self.kept.names:
                for old in sorted(self.out.glob(names))[: -self.kept.last]:
                    old.unlink()

    def loss(self, sample: Sample) -> tuple[Tensor, dict[str, float]]:
        """And its parts."""
        progress, schedule, device = self.progress, self.schedule, self.world.device
        ids, mask = encode_texts(self.tokenizer, sample.texts, self.model.text.kind)
        code = torch.full((len(ids),), MODALITIES[sample.modality])
        chosen, stand_for, masks = (t.to(device) for t in (sample.chosen, sample.stand_for, sample.masks))
        image = sample.image.to(device)[None, None].expand(-1, self.model.network.sizes.in_channels, -1, -1, -1)
        with torch.autocast(device.type, dtype=self.world.precision, enabled=self.world.precision != torch.float32):
            logits, scores = self.module(image.contiguous(), ids.to(device), mask.to(device), code.to(device), chosen)
        loss, dice = query_loss(logits, masks, stand_for, schedule.balance(progress))
        figures = {"query": float(loss.detach()), "soft Dice": float(dice.nanmean())}
        if scores is not None:
            # Class weights help rare labels to start and blur large ones later.
            weights = self.label_weights ** max(0.0, 1 - 2 * progress)
            seen = auxiliary_loss(scores, sample.labels.to(device), stand_for, weights)
            figures["auxiliary"] = float(seen.detach())
            loss = loss + seen * schedule.auxiliary(progress)
        return loss, figures

    def one_step(self, sample: Sample) -> dict[str, float]:
        rate = self.schedule.rate_at(self.step)
        for group in self.optimiser.param_groups:
            group["lr"] = group["share"] * rate
        loss, figures = self.loss(sample)
        self.optimiser.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimiser)
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        # A scaler looks for itself.
        if self.scaler.is_enabled() or torch.isfinite(norm):
            self.scaler.step(self.optimiser)
            self.average.update(self.model)
        self.scaler.update()
        self.step += 1
        return {**figures, "norm": float(norm)}

    def run(self) -> None:
        if self.step >= self.schedule.steps:
            if self.world.leads:
                print(f"nothing left to do: {self.out} has its {self.step} steps; for more give more --steps", flush=True)
            return
        # Each process takes its own of the samples, each of which is a function of its number.
        self.samples.numbers = range(
            self.step * self.world.size + self.world.rank, self.schedule.steps * self.world.size, self.world.size
        )
        loader = iter(DataLoader(self.samples, batch_size=None, num_workers=self.workers, prefetch_factor=3))
        history: list[dict[str, float]] = []
        last_log = last_save = time.monotonic()
        while self.step < self.schedule.steps:
            begun = time.monotonic()
            sample = next(loader)
            waited = time.monotonic() - begun
            history.append({**self.one_step(sample), "waited": waited})
            now = time.monotonic()
            self.seconds += now - begun
            if now - last_log > 20:
                self.log(history, (now - last_log) / len(history))
                history, last_log = [], now
            if now - last_save > self.save_minutes * 60 or self.step == self.schedule.steps:
                self.save()
                last_save = now

    def log(self, history: list[dict[str, float]], pace: float) -> None:
        if not self.world.leads:
            return
        # A prompt that finds nothing to find has no Dice.
        with np.errstate(all="ignore"):
            means = {key: np.nanmean([h[key] for h in history if key in h]) for key in history[0]}
        figures = ", ".join(f"{key} {value:.3f}" for key, value in means.items())
        print(
            f"{time.strftime('%H:%M:%S')} step {self.step}, {self.seconds / 60:.1f} min, {self.progress:.3f} done: "
            f"{figures}, {pace:.2f} s a step",
            flush=True,
        )
