"""What was published of the accuracy of SAT's own models, for the manifest: `tools/published_dice.tsv`."""

from __future__ import annotations

import csv
from pathlib import Path

TABLE = Path(__file__).resolve().parent.parent / "published_dice.tsv"
MODELS = {"sat-nano": "SAT-Nano", "sat-pro": "SAT-Pro", "sat-pro-ft": "SAT-Pro-Ft"}
SOURCE = "arXiv 2312.17183, an early version: mean Dice over the region's structures, or over lesions, in SAT's data sets"


def published(model: str) -> dict:
    """The manifest's [published] of one of `MODELS`."""
    with TABLE.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader((line for line in file if not line.startswith("#")), delimiter="\t"))
    dice = {row["region"]: round(float(row[model]) / 100, 4) for row in rows}
    return {"source": f"{MODELS[model]} in {SOURCE}", "lesions": dice.pop("lesions"), "dice": dice}
