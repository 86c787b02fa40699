"""Chromium, a host page for MCP Apps, and where voxels must appear on the screen.

The places are worked out here from the NIfTI affine alone, so that what the page draws is held against something else than
itself. A picture fills its tile as far as its shape allows and lies in the tile's middle; the patient's right is on the left.
"""

import shutil
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import nibabel
import numpy
from PIL import Image
from scipy.ndimage import maximum_filter, minimum_filter

from conftest import CHECKOUT, missing

# Software WebGL: no machine of ours needs a graphics card.
FLAGS = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"]
# What a host must send with a page that names no address (MCP Apps 2026-01-26, "Restrictive Default").
DEFAULT_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; media-src 'self' data:; connect-src 'none'; frame-src 'none'; object-src 'none'"
)
HOST, APP = "https://host.test/", "https://app.test/viewer.html"
PATIENCE = 120_000  # software WebGL on a busy machine

# Axes of an image turned to left, back, feet: to the right, downwards, across the plane.
AXES = {"axial": (0, 1, 2), "coronal": (0, 2, 1), "sagittal": (1, 2, 0)}
MARGIN = 0.01
WHOLE = (0, 0, 1, 1)
THREE = {"axial": (0, 0, 2 / 3, 1), "coronal": (2 / 3, 0, 1 / 3, 1 / 2), "sagittal": (2 / 3, 1 / 2, 1 / 3, 1 / 2)}


def needed(*programs: str) -> str:
    """The first of these programs that is there. CI has them all; elsewhere a test without one is skipped."""
    for name in programs:
        if found := shutil.which(name):
            return found
    missing(f"{programs[0]} is not installed")


def built_viewer(folder: Path) -> Path:
    """A copy of viewer/ with its packages, as npm has them by the lock file."""
    npm = needed("npm")
    copy = folder / "viewer"
    shutil.copytree(CHECKOUT / "viewer", copy, ignore=shutil.ignore_patterns("node_modules"))
    subprocess.run([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=copy, check=True, capture_output=True)
    return copy


@contextmanager
def chromium():
    """A browser; each page of it fails the test that asks for an address it may not."""
    program = needed("chromium", "chromium-browser", "google-chrome")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


class Watched:
    """A page whose requests are answered from here, and which keeps what it asked for besides and what it complained of."""

    def __init__(self, browser, served: dict[str, dict], width: int, height: int, scheme: str = "dark"):
        self.context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        self.context.set_default_timeout(PATIENCE)
        self.page = self.context.new_page()
        self.outside: list[str] = []
        self.complaints: list[str] = []
        self.page.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

        def answer(route):
            url = route.request.url
            if url in served:
                route.fulfill(**served[url])
            elif url.startswith("file:") and url in served.get("files", ()):
                route.continue_()
            else:
                self.outside.append(url)
                route.abort()

        self.context.route("**/*", answer)

    def quiet(self) -> None:
        assert self.outside == [] and self.complaints == []


@dataclass
class Picture:
    """A result as it must appear: its label map, its colours, and the numbers of its masks."""

    labels: nibabel.Nifti1Image
    colours: dict[int, tuple[int, int, int]]
    answer: dict

    @classmethod
    def of(cls, answer: dict, folder: Path) -> "Picture":
        colours = {}
        for line in (folder / "labelmap.itksnap.txt").read_text().splitlines():
            if not line.startswith("#"):
                label, *colour = (int(word) for word in line.split()[:4])
                colours[label] = tuple(colour)
        return cls(nibabel.load(folder / "labelmap.nii.gz"), colours, answer)

    def middle(self, target: int) -> numpy.ndarray:
        """The voxel of a mask that is nearest to its centroid, in view axes (left, back, feet)."""
        centroid = self.answer["masks"][target]["measurement"]["centroid_mm"]
        stored = numpy.asarray(self.labels.dataobj)
        at = numpy.argwhere(stored.T == target + 1)[:, ::-1]  # first axis fastest
        places = nibabel.affines.apply_affine(self.labels.affine, at)
        nearest = places[((places - centroid) ** 2).sum(axis=1).argmin()]
        turned = self.turned()
        return numpy.rint(nibabel.affines.apply_affine(numpy.linalg.inv(turned.affine), nearest)).astype(int)

    def turned(self) -> nibabel.Nifti1Image:
        return self.labels.as_reoriented(
            nibabel.orientations.ornt_transform(
                nibabel.io_orientation(self.labels.affine), nibabel.orientations.axcodes2ornt("LPI")
            )
        )

    def expected(self, view: str, slice_: int, tile: tuple, size: tuple[int, int], crosshair) -> numpy.ndarray:
        """Which label each pixel of a screenshot must show; -1 where that cannot be told (edges, crosshair, words)."""
        turned = self.turned()
        across, down, through = AXES[view]
        # NiiVue makes the outermost voxels of a mask a little clearer, in all three directions.
        stored = numpy.asarray(turned.dataobj).astype(int)
        beside = [stored.take(slice_ + step, axis=through) for step in (-1, 0, 1)]
        plane = numpy.where((beside[0] == beside[1]) & (beside[1] == beside[2]), beside[1], -1)
        zooms = numpy.array(turned.header.get_zooms()[:3])
        extent = numpy.array([plane.shape[0] * zooms[across], plane.shape[1] * zooms[down]])
        width, height = size
        left, top = (tile[0] + MARGIN) * width, (tile[1] + MARGIN) * height
        room = numpy.array([(tile[2] - 2 * MARGIN) * width, (tile[3] - 2 * MARGIN) * height])
        drawn = extent * (room / extent).min()
        corner = numpy.array([left, top]) + numpy.floor((room - drawn) / 2)
        pixels = drawn / plane.shape  # of a voxel

        x = numpy.floor((numpy.arange(width) + 0.5 - corner[0]) / pixels[0]).astype(int)
        y = numpy.floor((numpy.arange(height) + 0.5 - corner[1]) / pixels[1]).astype(int)
        inside = ((x >= 0) & (x < plane.shape[0]))[None, :] & ((y >= 0) & (y < plane.shape[1]))[:, None]
        here = plane[numpy.ix_(x.clip(0, plane.shape[0] - 1), y.clip(0, plane.shape[1] - 1))].T
        here = numpy.where(inside, here, 0)
        # In the plane, too; and places are rounded to pixels.
        near = 2 * numpy.ceil(pixels[::-1] + 1).astype(int) + 1
        certain = maximum_filter(here, near) == minimum_filter(here, near)
        x, y = (corner + (numpy.array([crosshair[across], crosshair[down]]) + 0.5) * pixels).round().astype(int)
        certain[:, max(x - 4, 0) : x + 5] = False
        certain[max(y - 4, 0) : y + 5, :] = False
        first, last = round(tile[0] * width), round((tile[0] + tile[2]) * width)
        top, bottom = round(tile[1] * height), round((tile[1] + tile[3]) * height)
        certain[bottom - 28 : bottom, first : first + 180] = False  # the caption
        within = numpy.zeros_like(certain)
        within[top:bottom, first:last] = True
        return numpy.where(certain & within, here, -1)

    def check(self, png: bytes, expected: numpy.ndarray, opacity: float, hidden: tuple[int, ...] = ()) -> dict[int, int]:
        """Every pixel is grey, plus its mask's colour as strongly as asked. Returns how many pixels each label has."""
        pixels = numpy.asarray(Image.open(BytesIO(png)).convert("RGB")).astype(float)
        # A stage that begins and ends between two pixels is longer on the screen.
        more = numpy.array(pixels.shape[:2]) - expected.shape
        assert (0 <= more).all() and (more <= 2).all(), more
        pixels = pixels[: expected.shape[0], : expected.shape[1]]
        seen = {}
        for label in numpy.unique(expected[expected >= 0]):
            found = pixels[expected == label]
            colour = numpy.array(self.colours[label] if label and label not in hidden else (0, 0, 0), float) * opacity
            spread = numpy.ptp(found - colour, axis=1)
            wrong = (spread > 18).sum()
            assert wrong <= max(3, 0.003 * len(found)), (int(label), wrong, found[spread > 18][:5], colour)
            seen[int(label)] = len(found)
        return seen
