"""Images from an archive and objects back to it: against Orthanc, and against servers that behave as none should."""

import json
import os
import shutil
import subprocess

import nibabel
import numpy
import pytest
from archive import BLOCK, PASSWORD, SERIES, STUDY, USER, Orthanc, Played, as_file, series
from conftest import CHECKOUT, missing, program
from http_server import Server, fault
from pydicom.pixels import unpack_bits

IMAGE = f"dicomweb:{STUDY}/{SERIES}"
SEG, SR = "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.88.34"


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory):
    archive = Orthanc(tmp_path_factory.mktemp("orthanc"))
    archive.take(series())
    yield archive
    archive.end()


@pytest.fixture
def played():
    archive = Played()
    yield archive
    archive.end()


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A folder with the model that calls bright what it was asked for."""
    folder = tmp_path_factory.mktemp("models")
    shutil.copytree(CHECKOUT / "tests/data/bright-model", folder / "bright-model")
    shutil.copy(CHECKOUT / "onnx/sat-mini/tokenizer.json", folder / "bright-model")
    return folder


@pytest.fixture
def desk(environment, models, tmp_path):
    return Desk(environment, models, tmp_path)


class Desk:
    """The program with its own settings and results."""

    def __init__(self, environment, models, folder):
        quiet = {name: value for name, value in environment.items() if "proxy" not in name.lower()}
        self.folder, self.results = folder, folder / "results"
        self.environment = {
            **quiet,
            "SAT_MCP_MODELS": str(models),
            "SAT_MCP_MODEL": "bright-model",
            "SAT_MCP_RESULTS": str(self.results),
            "SAT_MCP_CONFIG": str(folder / "sat-mcp.toml"),
            "PACS_PASSWORD": PASSWORD,
        }

    def knows(self, *tables: str) -> "Desk":
        (self.folder / "sat-mcp.toml").write_text("\n".join(tables))
        return self

    def run(self, *arguments: str) -> subprocess.CompletedProcess:
        ran = subprocess.run([str(program()), *arguments], env=self.environment, capture_output=True, text=True, timeout=300)
        assert PASSWORD not in ran.stdout + ran.stderr
        # Nor is anything told of people.
        assert "Archive^Ann" not in ran.stdout + ran.stderr
        return ran

    def segment(self, *options: str, image: str = IMAGE) -> dict:
        ran = self.run("segment", "--image", image, "--target", "liver", "--json", *options)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return json.loads(ran.stdout)

    def refused(self, *options: str, image: str = IMAGE) -> dict:
        ran = self.run("segment", "--image", image, "--target", "liver", "--json", *options)
        assert ran.returncode != 0, ran.stdout
        error = json.loads(ran.stdout)["error"]
        assert error["hint"]
        # Half a series is never kept.
        kept = list((self.results / "images").rglob("*.dcm")) if self.results.exists() else []
        assert not kept, kept
        return error


def pacs(orthanc, name: str = "pacs", password: str = 'password_env = "PACS_PASSWORD"') -> str:
    return f'[dicomweb.{name}]\nurl = "{orthanc.url}"\nusername = "{USER}"\n{password}\n'


def plays(played, manner: str, name: str = "fake") -> str:
    return f'[dicomweb.{name}]\nurl = "{played.url}/{manner}"\n'


def nifti(answer: dict) -> nibabel.Nifti1Image:
    file = next(file for file in answer["masks"][0]["files"] if file["format"] == "nifti")
    return nibabel.load(file["path"])


def check_seg(seg, mask: nibabel.Nifti1Image) -> None:
    """Every voxel of the SEG is the NIfTI mask's at the same place in the patient, and there are no others."""
    left = numpy.asarray(mask.dataobj).astype(bool)
    total = left.sum()
    assert total > 0
    to_voxel = numpy.linalg.inv(mask.affine) @ numpy.diag([-1, -1, 1, 1])
    shared = seg.SharedFunctionalGroupsSequence[0]
    down, across = map(float, shared.PixelMeasuresSequence[0].PixelSpacing)
    along_row, along_column = numpy.reshape(shared.PlaneOrientationSequence[0].ImageOrientationPatient, (2, 3)).astype(float)
    pixels = unpack_bits(seg.PixelData)[: int(seg.NumberOfFrames) * seg.Rows * seg.Columns]
    pixels = pixels.reshape(-1, seg.Rows, seg.Columns)
    for groups, frame in zip(seg.PerFrameFunctionalGroupsSequence, pixels, strict=True):
        corner = numpy.array(groups.PlanePositionSequence[0].ImagePositionPatient, float)
        rows, columns = numpy.nonzero(frame)
        places = corner + numpy.outer(columns * across, along_row) + numpy.outer(rows * down, along_column)
        voxels = (numpy.c_[places, numpy.ones(len(places))] @ to_voxel.T)[:, :3]
        nearest = voxels.round().astype(int)
        assert numpy.abs(voxels - nearest).max() < 1e-3
        assert left[tuple(nearest.T)].all()
        left[tuple(nearest.T)] = False
    assert not left.any()


def test_a_series_comes_from_orthanc_and_its_objects_go_back(orthanc, desk):
    answer = desk.knows(pacs(orthanc)).segment("--send-to", "pacs")
    assert answer["image"]["uri"] == IMAGE and answer["image"]["modality"] == "ct"
    assert answer["sent"]["server"] == "pacs" and len(answer["sent"]["instances"]) == 2
    assert "not_sent" not in {warning["code"] for warning in answer["warnings"]}
    # The archive has them, in the study of the scan, of the same patient.
    found = {series["Modality"]: series for series in orthanc.search(f"studies/{STUDY}/series")}
    assert {"CT", "SEG", "SR"} <= set(found)
    objects = [orthanc.instance(uid) for uid in answer["sent"]["instances"]]
    assert [ds.SOPClassUID for ds in objects] == [SEG, SR]
    assert {(ds.StudyInstanceUID, str(ds.PatientName), ds.PatientID) for ds in objects} == {(STUDY, "Archive^Ann", "A-17")}
    for ds, modality in zip(objects, ["SEG", "SR"], strict=True):
        kept = orthanc.search(f"studies/{STUDY}/series/{found[modality]['SeriesInstanceUID']}/instances")
        assert [one["SOPInstanceUID"] for one in kept] == [ds.SOPInstanceUID]
    # The SEG that comes back is the mask that lies here, and the mask is the block.
    mask = nifti(answer)
    check_seg(objects[0], mask)
    block = numpy.zeros((14, 36, 40), bool)
    block[BLOCK] = True
    place = numpy.linalg.inv(mask.affine) @ numpy.diag([-1, -1, 1, 1])
    z, y, x = numpy.nonzero(block)
    middle = place @ [-30 + 1.5 * x.mean(), 20 + 2 * y.mean(), 3 * z.mean(), 1]
    found = numpy.array(numpy.nonzero(numpy.asarray(mask.dataobj))).mean(axis=1)
    assert numpy.abs(found - middle[:3]).max() < 0.75
    # Asked again: from the store, and sent again, which changes nothing there.
    again = desk.segment("--send-to", "pacs")
    assert again["execution"]["cached"] and again["sent"] == answer["sent"]
    assert len(orthanc.search(f"studies/{STUDY}/instances")) == 14 + 2
    people = desk.run("segment", "--image", IMAGE, "--target", "liver", "--send-to", "pacs")
    assert "sent     2 DICOM objects to pacs" in people.stdout, people.stdout


def test_highdicom_reads_the_seg_that_the_archive_keeps(orthanc, desk):
    highdicom = pytest.importorskip("highdicom")
    answer = desk.knows(pacs(orthanc)).segment("--send-to", "pacs", "--formats", "dicom-seg")
    assert len(answer["sent"]["instances"]) == 1
    seg = highdicom.seg.Segmentation.from_dataset(orthanc.instance(answer["sent"]["instances"][0]))
    assert [seg.get_segment_description(n).SegmentLabel for n in seg.segment_numbers] == ["liver"]


def test_what_was_made_of_a_folder_is_sent_as_well(orthanc, desk, tmp_path):
    folder = tmp_path / "scan"
    folder.mkdir()
    for n, ds in enumerate(series(study="2.25.2001", uid="2.25.2002")):
        (folder / f"{n}").write_bytes(as_file(ds))
    answer = desk.knows(pacs(orthanc)).segment("--send-to", "pacs", image=str(folder))
    found = orthanc.search("studies/2.25.2001/instances")
    assert sorted(one["SOPInstanceUID"] for one in found) == sorted(answer["sent"]["instances"])


def test_other_formats_and_images_are_refused_before_anything_is_computed(orthanc, desk, scans):
    desk.knows(pacs(orthanc))
    error = desk.refused("--send-to", "pacs", "--formats", "nifti")
    assert error["code"] == "invalid_argument" and "dicom-seg" in error["hint"]
    error = desk.refused("--send-to", "pacs", "--modality", "mri", image=str(scans / "head.nii.gz"))
    assert error["code"] == "invalid_argument" and "DICOM" in error["message"]
    error = desk.refused("--send-to", "vna")
    assert error["code"] == "invalid_argument" and "pacs" in error["hint"]
    error = desk.refused(image=f"dicomweb:vna/{STUDY}/{SERIES}")
    assert error["code"] == "invalid_argument" and "pacs" in error["hint"]
    for image in ["dicomweb:1.2", "dicomweb:1.2/../3", "dicomweb:pacs/1.2/3.4?x=1"]:
        assert desk.refused(image=image)["code"] == "invalid_argument"


def test_what_orthanc_does_not_have_or_allow_is_told(orthanc, desk):
    error = desk.knows(pacs(orthanc)).refused(image=f"dicomweb:{STUDY}/2.25.404")
    assert error["code"] == "not_found" and "pacs" in error["message"] and "2.25.404" in error["message"]
    error = desk.knows(pacs(orthanc, password='password = "wrong one"')).refused()
    assert error["code"] == "bad_image" and "401" in error["message"] and "password" in error["hint"]
    assert "wrong one" not in json.dumps(error)
    # Sending fails as well, and the masks are there all the same.
    answer = desk.knows(pacs(orthanc), pacs(orthanc, "shut", 'password = "wrong one"'), '[dicomweb]\ndefault = "pacs"').segment(
        "--send-to", "shut"
    )
    warning = next(warning for warning in answer["warnings"] if warning["code"] == "not_sent")
    assert "401" in warning["message"] and answer["sent"] == {"server": "shut", "instances": []}
    assert numpy.asarray(nifti(answer).dataobj).any()


def test_a_server_that_is_gone_is_told_by_its_name(desk, tmp_path_factory):
    archive = Orthanc(tmp_path_factory.mktemp("gone"))
    archive.take(series())
    desk.knows(pacs(archive)).segment()
    archive.end()
    ran = desk.run("segment", "--image", IMAGE, "--target", "liver", "--json")
    error = json.loads(ran.stdout)["error"]
    assert error["code"] == "bad_image" and "pacs" in error["message"] and "reached" in error["message"]
    assert str(archive.port) not in error["message"]


def test_the_server_fetches_shows_measures_and_sends(orthanc, desk, scans):
    desk.knows(pacs(orthanc))
    with Server(desk.environment, scans, desk.results) as server:
        tools = {tool["name"]: tool["annotations"] for tool in server.ask("tools/list", {})["tools"]}
        assert {name: hints["openWorldHint"] for name, hints in tools.items()} == {
            "list_anatomy": False,
            "segment": True,
            "measure_volume": True,
        }
        called = server.call("segment", {"image": IMAGE, "targets": ["liver"], "send_to": "pacs"})
        answer = called["structuredContent"]
        assert answer["image"]["uri"] == IMAGE and len(answer["sent"]["instances"]) == 2
        assert "Sent to pacs: 2 DICOM objects." in called["content"][0]["text"]
        # Without send_to it is another result and nothing is sent.
        plain = server.call("segment", {"image": IMAGE, "targets": ["liver"]})["structuredContent"]
        assert "sent" not in plain and plain["result_id"] != answer["result_id"]
        # The viewer's picture of the scan is made of the series, which is fetched again where it had to make room.
        display = {"uri": f"sat://results/{answer['result_id']}/display/image.nii.gz"}
        shown = server.ask("resources/read", display)["contents"][0]["blob"]
        shutil.rmtree(desk.results / "images")
        assert server.ask("resources/read", display)["contents"][0]["blob"] == shown
        assert list((desk.results / "images").rglob("*.dcm"))
        measured = server.call("measure_volume", {"result_id": answer["result_id"], "image": IMAGE})["structuredContent"]
        assert measured["measurements"][0]["intensity"]["mean"] == pytest.approx(600, abs=60)
        error = fault(server.call("measure_volume", {"mask": IMAGE}))
        assert error["code"] == "bad_mask"
        error = fault(server.call("segment", {"image": f"dicomweb:{STUDY}/2.25.404", "targets": ["liver"]}))
        assert error["code"] == "not_found"
    assert PASSWORD not in "".join(server.log) and "Archive^Ann" not in "".join(server.log)


def test_who_is_told_to_come_back_finds_the_objects_sent(orthanc, desk, scans):
    desk.knows(pacs(orthanc))
    with Server(desk.environment, scans, desk.results, "--answer-within", "0") as server:
        asked = {"image": IMAGE, "targets": ["spleen"], "send_to": "pacs"}
        first = server.ask("tools/call", {"name": "segment", "arguments": asked})
        answer = server.call("segment", asked)["structuredContent"]
        assert len(answer["sent"]["instances"]) == 2
        told = (first.get("structuredContent") or {}).get("status"), (first.get("_meta") or {}).get("sat-mcp/error", {}).get("code")
        assert "running" in told or "busy" in told or first["structuredContent"]["result_id"] == answer["result_id"]
    viewed = desk.run("view", answer["result_id"], "--out", str(desk.folder / "page.html"))
    assert viewed.returncode == 0 and "warning" not in viewed.stderr, viewed.stderr


def test_without_a_server_nothing_is_fetched_and_nothing_is_sent(desk, scans):
    desk.knows("")
    error = desk.refused()
    assert error["code"] == "invalid_argument" and "no DICOMweb server is configured" in error["message"]
    error = desk.refused("--send-to", "pacs", "--modality", "mri", image=str(scans / "head.nii.gz"))
    assert error["code"] == "invalid_argument" and "[dicomweb]" in error["hint"]
    with Server(desk.environment, scans, desk.results) as server:
        tools = server.ask("tools/list", {})["tools"]
        assert not any(tool["annotations"]["openWorldHint"] for tool in tools)


def test_a_series_is_fetched_once_until_the_server_lists_another(played, desk):
    desk.knows(plays(played, "good"))
    first = desk.segment()
    assert played.retrievals() == 1
    for method, path, headers in played.asked:
        assert method == "GET" and path.startswith(f"/good/studies/{STUDY}/series/{SERIES}")
        assert headers.get("accept-encoding", "identity") == "identity" and "authorization" not in headers
    assert desk.segment()["result_id"] == first["result_id"] and played.retrievals() == 1
    played.slices = series(15)
    second = desk.segment()
    assert played.retrievals() == 2
    assert (first["image"]["shape"][2], second["image"]["shape"][2]) == (14, 15)
    assert second["result_id"] != first["result_id"]


BAD = [
    ("elsewhere", "bad_image", "302"),
    ("away", "bad_image", "307"),
    ("portal", "bad_image", "text/html"),
    ("long", "bad_image", "larger than"),
    ("odd", "bad_image", "SOP Instance UID"),
    ("endless", "bad_image", "larger than the 1000000 bytes"),
    ("heads", "bad_image", "before a part"),
    ("packed", "bad_image", "packed"),
    ("unbound", "bad_image", "boundary"),
    ("pictures", "bad_image", "application/dicom"),
    ("fewer", "bad_image", "lists 14 instances of the series and sent 13"),
    ("others", "bad_image", "does not list"),
    ("twice", "bad_image", "twice"),
    ("cut", "bad_image", "breaks off"),
    ("broken", "bad_image", "the connection broke"),
    ("text", "bad_image", "no DICOM file"),
]


@pytest.mark.parametrize("manner, code, told", BAD, ids=[manner for manner, *_ in BAD])
def test_a_server_that_misbehaves_is_refused_with_the_reason(played, desk, manner, code, told):
    error = desk.knows(plays(played, manner)).refused("--max-unpacked-gb", "0.001")
    assert error["code"] == code and told in error["message"] and "fake" in error["message"], error
    # Where a redirect leads nobody goes.
    assert not any(path.startswith("/good") for _, path, _ in played.asked)


# It takes the minute that a server is waited for: part of `make test-long`.
if os.environ.get("SAT_MCP_SLOW"):

    def test_a_server_that_says_nothing_is_left(played, desk):
        assert "too slowly" in desk.knows(plays(played, "slow")).refused()["message"]


@pytest.mark.parametrize("manner, told, taken", [("full", "A700H (out of resources)", 1), ("portal", "text/html", 0), ("down", "503", 0)])
def test_objects_that_a_server_does_not_take_are_a_warning(played, desk, manner, told, taken):
    desk.knows(plays(played, "good", "source"), plays(played, manner), '[dicomweb]\ndefault = "source"')
    answer = desk.segment("--send-to", "fake")
    warning = next(warning for warning in answer["warnings"] if warning["code"] == "not_sent")
    assert told in warning["message"] and "fake" in warning["message"], warning
    assert answer["sent"]["server"] == "fake" and len(answer["sent"]["instances"]) == taken
    assert numpy.asarray(nifti(answer).dataobj).any()


def test_a_certificate_is_checked_and_ones_own_may_vouch_for_it(desk, tmp_path):
    openssl = shutil.which("openssl") or missing("openssl is not installed")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    make = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1"
    make += " -addext basicConstraints=critical,CA:FALSE"
    subprocess.run([openssl, *make.split(), "-keyout", key, "-out", certificate], check=True, capture_output=True)
    both = tmp_path / "both.pem"
    both.write_text(certificate.read_text() + key.read_text())
    played = Played(both)
    try:
        error = desk.knows(plays(played, "good")).refused()
        assert error["code"] == "bad_image" and "certificate" in error["message"], error
        assert not played.asked
        desk.knows(plays(played, "good") + f'ca_file = "{certificate}"\n').segment()
    finally:
        played.end()


@pytest.mark.parametrize(
    "table, told",
    [
        ('url = "pacs"', "url of [dicomweb.pacs]"),
        ('url = "http://pacs.example.org"', "insecure_http"),
        ('url = "https://pacs.example.org"\npasword = "open sesame"', "pasword"),
        ('url = "https://pacs.example.org"\nusername = "u"\npassword = open sesame', "may hold a secret"),
        ('url = "https://u:open sesame@pacs.example.org"', "url of [dicomweb.pacs]"),
        ('url = "https://pacs.example.org"\nusername = "u"\npassword_env = "NO_SUCH"', "NO_SUCH"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused_at_start(desk, table, told):
    for command in [["doctor"], ["serve"]]:
        ran = desk.knows(f"[dicomweb.pacs]\n{table}").run(*command)
        assert ran.returncode == 2, ran.stderr
        assert told in ran.stderr and "sat-mcp.toml" in ran.stderr, ran.stderr


def test_the_doctor_names_the_servers_and_no_secret(orthanc, desk):
    ran = desk.knows(pacs(orthanc)).run("doctor", "--json")
    report = json.loads(ran.stdout)["dicomweb"]
    assert report == [{"name": "pacs", "url": orthanc.url, "credentials": "password", "default": True}]
