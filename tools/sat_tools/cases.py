"""Labelled images as people have them: a list of them (jsonl), or a folder as nnU-Net lays one out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

MODALITIES = ("ct", "mri", "pet")
"""That a model can be offered for."""
CHANNELS = {"ct": "ct", "mri": "mri", "mr": "mri", "t1": "mri", "t2": "mri", "flair": "mri", "pet": "pet"}
"""Modality by the names that nnU-Net data sets give their one channel."""


class DataError(Exception):
    """What is wrong with a list or an image and the way out, in one line."""


@dataclass(frozen=True)
class Case:
    image: Path
    modality: str
    masks: dict[str, tuple[Path, tuple[int, ...]]]
    """By name: a file and its values that mean it; no values for all above 0. A name that is not here is not known to be in the
    image or not: it is never asked for."""


def read_cases(path: Path) -> list[Case]:
    """A `.jsonl` file, or a folder with `dataset.json`."""
    cases = from_folder(path) if path.is_dir() else from_list(path)
    if not cases:
        raise DataError(f"{path}: names no image; see tools/README.md for what a list or a folder looks like")
    for case in cases:
        for file in (case.image, *(file for file, _ in case.masks.values())):
            if not file.is_file():
                raise DataError(f"{path}: names {file}, which is not there; mend the list or bring the file")
    return cases


def from_list(path: Path) -> list[Case]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({error}); give a .jsonl file in UTF-8, or a folder") from None
    cases = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                cases.append(one_of_list(json.loads(line), path.parent))
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                fault = f"no {error}" if isinstance(error, KeyError) else str(error)
                raise DataError(
                    f'{path}, line {number}: {fault}; a line is {{"image": "a.nii.gz", "modality": "ct", "labels": '
                    '{"liver": "liver.nii.gz"}} or, with one file for all, "labels": "a.nii.gz", "names": {"liver": 1}'
                ) from None
    return cases


def one_of_list(line: dict, folder: Path) -> Case:
    modality = line["modality"]
    if modality not in MODALITIES:
        raise ValueError(f"modality {modality!r} is none of {', '.join(MODALITIES)}")
    labels = line["labels"]
    if isinstance(labels, str):
        masks = {name: (folder / labels, values(value)) for name, value in line["names"].items()}
    else:
        masks = {name: (folder / file, ()) for name, file in labels.items()}
    return Case(folder / line["image"], modality, by_name(masks))


def by_name(masks: dict[str, tuple[Path, tuple[int, ...]]]) -> dict[str, tuple[Path, tuple[int, ...]]]:
    """Names as prompts are: in small letters, each once."""
    if not masks:
        raise ValueError("labels name nothing")
    found: dict[str, tuple[Path, tuple[int, ...]]] = {}
    for name, mask in masks.items():
        plain = " ".join(name.lower().split())
        if not plain:
            raise ValueError("an empty name")
        if plain in found:
            raise ValueError(f"{plain!r} is named twice, in other letters or spaces")
        found[plain] = mask
    return found


def values(value: int | list[int]) -> tuple[int, ...]:
    found = tuple(value) if isinstance(value, list) else (value,)
    if not found or not all(isinstance(v, int) and not isinstance(v, bool) and v > 0 for v in found):
        raise ValueError(f"{value!r} is no whole number above 0, nor a list of such")
    return found


def from_folder(folder: Path) -> list[Case]:
    """nnU-Net's: imagesTr/CASE_0000.nii.gz, labelsTr/CASE.nii.gz, dataset.json with `labels` and `channel_names`."""
    about = folder / "dataset.json"
    try:
        entries = json.loads(about.read_text(encoding="utf-8"))
        if "channel_names" not in entries and "modality" in entries:
            raise ValueError("version 1 of nnU-Net's format; convert it with nnUNetv2_convert_old_nnUNet_dataset")
        channels = entries["channel_names"]
        names = {name: value for name, value in entries["labels"].items() if name != "background"}
        if "ignore" in names:
            raise ValueError("a label `ignore`, voxels that nobody labelled: this program would teach that nothing is there")
        if len(channels) != 1:
            raise ValueError(f"{len(channels)} channels, where SAT sees one image at a time; make a list of them")
        modality = CHANNELS.get(str(next(iter(channels.values()))).lower())
        if modality is None:
            raise ValueError(f"channel {next(iter(channels.values()))!r} is none of {', '.join(sorted(CHANNELS))}")
        by_name({name: (folder, values(value)) for name, value in names.items()})
    except OSError as error:
        raise DataError(f"{about}: {error.strerror}; give a folder that has one, or a .jsonl file") from None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        fault = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise DataError(f"{about}: {fault}; version 2 of nnU-Net's format is expected, all voxels labelled") from None
    ending = entries.get("file_ending", ".nii.gz")
    cases = []
    for labels in sorted((folder / "labelsTr").glob(f"*{ending}")):
        image = folder / "imagesTr" / f"{labels.name.removesuffix(ending)}_0000{ending}"
        cases.append(Case(image, modality, by_name({name: (labels, values(value)) for name, value in names.items()})))
    return cases
