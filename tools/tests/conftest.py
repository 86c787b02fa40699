import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from make_tokenizer import make_tokenizer
from sat_tools.classes import INDEX, LEFT, NUMBERS, RIGHT, read_classes
from sat_tools.labels import LabelMap
from sat_tools.network import Sizes

ABSENT = ["liver", "spleen", "left kidney", "urinary bladder"]


@pytest.fixture(autouse=True)
def few_threads():
    torch.set_num_threads(2)


@pytest.fixture(scope="session")
def tokenizer():
    return make_tokenizer([phrase for c in read_classes() for phrase in c.phrases()] + ABSENT)


@pytest.fixture(scope="session")
def tiny() -> Sizes:
    return Sizes((8, 8, 16), 2, 16, 24, 24, 16, layers=2, heads=2, feedforward=32)


@pytest.fixture(scope="session")
def ball() -> LabelMap:
    """A head of four layers: skin, skull, fluid and a brain in two halves, with a ventricle on each side."""
    axis = np.arange(96) - 47.5
    x, y, z = np.meshgrid(axis, axis, axis, indexing="ij")
    radius = np.sqrt(x**2 + y**2 + z**2)
    numbers = np.zeros(radius.shape, dtype=int)
    for limit, number in ((46, 511), (42, 515), (38, 24)):
        numbers[radius < limit] = number
    inside = radius < 34
    numbers[inside & (x < 0)], numbers[inside & (x >= 0)] = 2, 41
    ventricle = (abs(x) - 10) ** 2 + y**2 + z**2 < 36
    numbers[ventricle & (x < 0)], numbers[ventricle & (x >= 0)] = 4, 43
    assert set(np.unique(numbers)) <= set(NUMBERS.tolist()) and 4 in LEFT and 43 in RIGHT
    return LabelMap.of(INDEX[numbers])
