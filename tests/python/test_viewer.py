"""The viewer in Chromium: within a host that is ext-apps' own, and as the file that `sat-mcp view` writes."""

import json
import subprocess
from collections import Counter
from pathlib import Path

import anyio
import nibabel
import pytest
from anyio.from_thread import start_blocking_portal
from browser import APP, DEFAULT_POLICY, HOST, PATIENCE, THREE, WHOLE, Picture, Watched, built_viewer, chromium
from conftest import CHECKOUT, program
from mcp import Client, MCPError, StdioServerParameters

HEAD = CHECKOUT / "share" / "demo" / "colin27-t1.nii.gz"
TARGETS = ["cerebellum", "brainstem", "left thalamus", "right thalamus", "left lateral ventricle", "right hippocampus"]
URI = "ui://sat-mcp/viewer.html"


@pytest.fixture(scope="module")
def viewer(tmp_path_factory):
    return built_viewer(tmp_path_factory.mktemp("npm"))


@pytest.fixture(scope="module")
def host_page(viewer) -> str:
    """A host built on ext-apps' AppBridge."""
    esbuild = viewer / "node_modules" / ".bin" / "esbuild"
    command = [esbuild, "tests/host.ts", "--bundle", "--format=iife"]
    script = subprocess.run(command, cwd=viewer, check=True, capture_output=True, text=True).stdout
    return "<!doctype html><body><script>" + script.replace("</script", "<\\/script") + "</script>"


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The demo's head, stored in sagittal slices from the back, as many MR scanners write."""
    folder = tmp_path_factory.mktemp("heads")
    turned = nibabel.load(HEAD).as_reoriented(nibabel.orientations.axcodes2ornt("PSR"))
    nibabel.save(turned, folder / "head.nii.gz")
    return folder


class Server:
    """The built program over stdio, as the official client sees it, from code that is not async."""

    def __init__(self, portal, client: Client):
        self.portal, self.client = portal, client

    def segment(self, image, targets=TARGETS) -> dict:
        arguments = {"image": str(image), "modality": "mri", "targets": targets}
        result = self.portal.call(self.client.call_tool, "segment", arguments)
        return result.model_dump(mode="json", by_alias=True, exclude_none=True)

    def finished(self, image) -> dict:
        while (result := self.segment(image))["structuredContent"]["status"] == "running":
            self.portal.call(anyio.sleep, 0.2)
        return result

    def read(self, uri: str) -> dict:
        try:
            result = self.portal.call(self.client.read_resource, uri)
        except MCPError as error:
            return {"fault": str(error)}
        return result.model_dump(mode="json", by_alias=True, exclude_none=True)


@pytest.fixture(scope="module")
def environment(environment, tmp_path_factory):
    return {**environment, "SAT_MCP_RESULTS": str(tmp_path_factory.mktemp("viewed"))}


@pytest.fixture(scope="module")
def server(environment, folder):
    arguments = ["serve", "--data-root", str(folder), "--answer-within", "0.05"]
    started = StdioServerParameters(command=str(program()), args=arguments, env=environment)
    with start_blocking_portal("asyncio") as portal:
        with portal.wrap_async_context_manager(Client(started, mode="auto")) as client:
            yield Server(portal, client)


@pytest.fixture(scope="module")
def result(server, folder) -> dict:
    return server.finished(folder / "head.nii.gz")


def picture_of(server, environment, result) -> Picture:
    """As the files have it; the page is not asked."""
    id = result["structuredContent"]["result_id"]
    stored = json.loads(server.read(f"sat://results/{id}/result.json")["contents"][0]["text"])
    return Picture.of(stored, results_of(environment) / id)


def results_of(environment) -> Path:
    return Path(environment["SAT_MCP_RESULTS"])


@pytest.fixture
def hosted(browser, host_page, server):
    """A function that opens the app on a tool result, in a sandbox under the policy that hosts must apply."""
    opened = []

    def start(result: dict, width: int = 1200, theme: str = "dark"):
        (page,) = server.read(URI)["contents"]
        served = {
            HOST: {"body": host_page, "content_type": "text/html"},
            APP: {"body": page["text"], "content_type": "text/html", "headers": {"Content-Security-Policy": DEFAULT_POLICY}},
        }
        watched = Watched(browser, served, width, 950)
        opened.append(watched)
        watched.page.expose_function("readResource", lambda params: server.read(params["uri"]))
        watched.page.goto(HOST)
        call = {"image": "head.nii.gz", "modality": "mri", "targets": TARGETS}
        watched.page.evaluate("([url, ...rest]) => open_app(url, ...rest)", [APP, theme, call, result])
        watched.app = next(frame for frame in watched.page.frames if frame.url == APP)
        return watched

    yield start
    for watched in opened:
        watched.context.close()


def ready(frame) -> None:
    """Waits until pictures are drawn."""
    frame.locator("#captions span").first.wait_for(state="attached", timeout=PATIENCE)


def shot(frame) -> bytes:
    frame.locator("#canvas").blur()  # its ring has a colour
    frame.evaluate("new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
    return frame.locator("#stage").screenshot(timeout=PATIENCE)


def stage_size(frame) -> tuple[int, int]:
    box = frame.locator("#stage").bounding_box()
    return round(box["width"]), round(box["height"])


def all_planes(frame, picture: Picture, target: int, opacity: float, hidden: tuple[int, ...] = ()) -> set[int]:
    """Holds each of the three planes through a mask's middle against the label map. Returns the labels seen."""
    png, size, middle, seen = shot(frame), stage_size(frame), picture.middle(target), Counter()
    for view, tile in THREE.items():
        through = {"axial": 2, "coronal": 1, "sagittal": 0}[view]
        expected = picture.expected(view, middle[through], tile, size, middle)
        seen.update(picture.check(png, expected, opacity, hidden))
    assert seen[target + 1] > 20, seen
    return set(seen)


def test_the_page_is_offered_as_an_app_that_reaches_nowhere(server):
    listed = server.portal.call(server.client.list_tools).tools
    tools = {tool.name: tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in listed}
    assert tools["segment"]["_meta"]["ui"] == {"resourceUri": URI}
    assert "_meta" not in tools["list_anatomy"]
    (page,) = server.read(URI)["contents"]
    assert page["mimeType"] == "text/html;profile=mcp-app" and page["text"].startswith("<!doctype html>")
    assert not any(page["_meta"]["ui"]["csp"].values()) and page["_meta"]["ui"]["permissions"] == {}


def test_in_a_host_the_masks_lie_where_their_voxels_are_and_colour_is_nowhere_else(hosted, server, environment, result):
    watched = hosted(result)
    ready(watched.app)
    picture = picture_of(server, environment, result)
    seen = all_planes(watched.app, picture, TARGETS.index("cerebellum"), 0.5)
    assert {0, 1, 2} <= seen
    for target in (TARGETS.index("right hippocampus"), TARGETS.index("left thalamus")):
        watched.app.get_by_role("button", name=TARGETS[target], exact=True).click()
        all_planes(watched.app, picture, target, 0.5)
    watched.quiet()


def test_a_row_that_is_hidden_loses_its_colour_and_the_slider_sets_its_strength(hosted, server, environment, result):
    watched = hosted(result)
    ready(watched.app)
    picture = picture_of(server, environment, result)
    cerebellum = TARGETS.index("cerebellum")
    watched.app.get_by_label("Show cerebellum").uncheck()
    all_planes(watched.app, picture, cerebellum, 0.5, hidden=(cerebellum + 1,))
    watched.app.get_by_label("Show cerebellum").check()
    for strength in (100, 0, 30):
        watched.app.get_by_label("Opacity of the masks").fill(str(strength))
        all_planes(watched.app, picture, cerebellum, strength / 100)
    watched.app.get_by_text("Hide all").click()
    all_planes(watched.app, picture, cerebellum, 0.0)
    watched.quiet()


def test_the_legend_has_each_volume_and_its_warnings(hosted, server, result):
    watched = hosted(result, width=420)
    ready(watched.app)
    rows = watched.app.locator("#legend li")
    assert rows.count() == len(TARGETS)
    for mask, row in zip(result["structuredContent"]["masks"], rows.all(), strict=True):
        words, volume = row.inner_text(), mask["measurement"]["volume_ml"]
        assert mask["name"] in words
        assert float(words.split(" mL")[0].split()[-1]) == pytest.approx(volume, rel=0.005)
    id = result["structuredContent"]["result_id"]
    stored = json.loads(server.read(f"sat://results/{id}/result.json")["contents"][0]["text"])
    warned = {warning["target"] for warning in stored["warnings"] if "target" in warning}
    assert warned
    assert watched.app.locator("#legend .mark").count() == len(warned)
    watched.app.locator("#legend .mark").first.click()
    shown = watched.app.locator("#legend .why:visible").inner_text()
    assert any(warning["message"] in shown for warning in stored["warnings"])
    assert "not a diagnosis" in watched.app.locator("footer").inner_text()
    assert watched.app.evaluate("document.documentElement.scrollWidth") <= 420
    watched.quiet()


def test_the_page_follows_its_host(hosted, result):
    watched = hosted(result, theme="light")
    ready(watched.app)
    colour = lambda: watched.app.evaluate("getComputedStyle(document.body).backgroundColor")  # noqa: E731
    light = colour()
    watched.page.evaluate("retheme('dark')")
    watched.app.locator("[data-theme=dark]").wait_for(state="attached", timeout=PATIENCE)
    assert light == "rgb(255, 255, 255)" and colour() != light
    watched.app.get_by_role("button", name="Full screen").click()
    watched.app.get_by_role("button", name="Back to the chat").wait_for(timeout=PATIENCE)
    heard = watched.page.evaluate("heard")
    assert heard["modes"] == ["fullscreen"]
    assert heard["heights"][-1] == pytest.approx(watched.app.locator("main").bounding_box()["height"], abs=2)
    assert watched.page.evaluate("tearDown()") == {}
    watched.quiet()


def test_a_run_that_goes_on_is_said_to_and_looked_at_again(hosted, server, folder):
    copy = folder / "another.nii.gz"
    head = nibabel.load(folder / "head.nii.gz")
    nibabel.save(head.slicer[:, :, 4:], copy)
    running = server.segment(copy)
    assert running["structuredContent"]["status"] == "running"
    watched = hosted(running)
    notices = watched.app.locator("#notices")
    notices.get_by_text("still running").wait_for(timeout=PATIENCE)
    server.finished(copy)
    notices.get_by_role("button", name="Look again").click()
    ready(watched.app)
    watched.quiet()


def test_a_scan_that_is_gone_leaves_the_masks_and_a_reason(hosted, server, environment, folder):
    copy = folder / "gone.nii.gz"
    nibabel.save(nibabel.load(folder / "head.nii.gz").slicer[:, :, 2:], copy)
    result = server.finished(copy)
    nibabel.save(nibabel.load(folder / "head.nii.gz").slicer[:, :, 3:], copy)
    watched = hosted(result)
    ready(watched.app)
    assert "the file has changed" in watched.app.locator("#notices").inner_text()
    copy.unlink()
    again = hosted(result)
    ready(again.app)
    assert "without the scan" in again.app.locator("#notices").inner_text()
    assert "no such file" in again.app.locator("#notices").inner_text()
    all_planes(again.app, picture_of(server, environment, result), TARGETS.index("cerebellum"), 0.5)


def test_an_answer_that_is_an_error_is_shown_in_its_words(hosted, server, folder):
    refused = server.segment(folder / "head.nii.gz", ["no such thing at all"])
    watched = hosted(refused)
    fault = watched.app.locator(".fault")
    fault.wait_for(timeout=PATIENCE)
    assert fault.inner_text().strip() and fault.inner_text().split(".")[0] in refused["content"][0]["text"]


def view(environment, *arguments) -> subprocess.CompletedProcess:
    command = [program(), "view", *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


@pytest.fixture
def alone(browser):
    """A function that opens a written page as a file."""
    opened = []

    def start(path, width: int = 1000, height: int = 800) -> Watched:
        url = path.as_uri()
        watched = Watched(browser, {"files": (url,)}, width, height)
        opened.append(watched)
        watched.page.goto(url)
        return watched

    yield start
    for watched in opened:
        watched.context.close()


def test_view_writes_a_page_that_shows_the_result_by_itself(alone, server, environment, result, tmp_path):
    done = view(environment, result["structuredContent"]["result_id"], "--out", tmp_path / "page.html")
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.strip() == str(tmp_path / "page.html")
    watched = alone(tmp_path / "page.html")
    ready(watched.page)
    picture = picture_of(server, environment, result)
    target = TARGETS.index("cerebellum")
    all_planes(watched.page, picture, target, 0.5)
    # One plane alone, and its neighbours by key and wheel.
    watched.page.get_by_role("button", name="Coronal").click()
    middle = picture.middle(target)
    watched.page.locator("#canvas").focus()
    for _ in range(4):
        watched.page.keyboard.press("PageUp")  # towards the front: against the axis that runs to the back
    middle[1] -= 4
    expected = picture.expected("coronal", middle[1], WHOLE, stage_size(watched.page), middle)
    assert picture.check(shot(watched.page), expected, 0.5)[target + 1] > 1000
    before = watched.page.locator("#where").inner_text()
    watched.page.locator("#canvas").hover(position={"x": 200, "y": 200})
    watched.page.mouse.wheel(0, 100)
    watched.page.wait_for_timeout(500)
    assert watched.page.locator("#where").inner_text() != before
    watched.quiet()


def test_view_says_what_is_missing(environment, server, folder, tmp_path):
    unknown = view(environment, "abcdef", "--out", tmp_path / "page.html")
    assert unknown.returncode == 1 and "no result" in unknown.stderr and not (tmp_path / "page.html").exists()
    copy = folder / "lost.nii.gz"
    nibabel.save(nibabel.load(folder / "head.nii.gz").slicer[:, :, 5:], copy)
    id = server.finished(copy)["structuredContent"]["result_id"]
    copy.unlink()
    done = view({**environment, "TMPDIR": str(tmp_path)}, id, "--no-open")
    assert done.returncode == 0 and "no such file" in done.stderr and "masks alone" in done.stderr
    page = tmp_path / done.stdout.strip()
    assert page.parent.parent == tmp_path and page.parent.stat().st_mode & 0o077 == 0
    assert '"imageFault"' in page.read_text()


def test_the_page_that_ships_is_what_its_sources_make(viewer, tmp_path):
    subprocess.run(["node", "build.mjs", tmp_path], cwd=viewer, check=True, capture_output=True)
    subprocess.run(["npm", "run", "check"], cwd=viewer, check=True, capture_output=True)
    for name in ("viewer.html", "LICENSES.txt"):
        assert (tmp_path / name).read_bytes() == (CHECKOUT / "share" / "viewer" / name).read_bytes(), "run `make viewer`"
