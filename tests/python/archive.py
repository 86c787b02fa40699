"""An archive for the while of a test: a real one (Orthanc), and one that is played, well or badly."""

import http.server
import json
import os
import shutil
import socket
import ssl
import subprocess
import threading
import time
from io import BytesIO
from pathlib import Path

import numpy
import pydicom
import requests
from conftest import missing
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

# Debian's package orthanc-dicomweb, and where Orthanc's own images have it.
PLUGINS = [Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so"), Path("/usr/local/share/orthanc/plugins/libOrthancDicomWeb.so")]
USER, PASSWORD = "sat", "open sesame"
STUDY, SERIES = "2.25.1001", "2.25.1002"
SHAPE = (40, 36, 14)  # columns, rows, slices
BLOCK = numpy.s_[3:11, 5:14, 12:30]  # slices, rows, columns: on neither side's middle


def series(instances: int = SHAPE[2], study: str = STUDY, uid: str = SERIES) -> list[Dataset]:
    """A CT of a bright block, axial, with the slices in no order."""
    columns, rows, _ = SHAPE
    pixels = numpy.full((instances, rows, columns), -200, numpy.int16)
    pixels[BLOCK] = 600
    slices = []
    for k in numpy.random.default_rng(3).permutation(instances).tolist():
        ds = Dataset()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = CTImageStorage
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = f"{uid}.{k + 1}"
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = study, uid, "2.25.1003"
        ds.PatientName, ds.PatientID, ds.Modality = "Archive^Ann", "A-17", "CT"
        ds.StudyDate = ds.StudyTime = ds.AccessionNumber = ds.StudyID = ds.ReferringPhysicianName = ""
        ds.PatientBirthDate = ds.PatientSex = ""
        ds.SeriesNumber, ds.InstanceNumber = 1, k + 1
        ds.Rows, ds.Columns, ds.SamplesPerPixel, ds.PhotometricInterpretation = rows, columns, 1, "MONOCHROME2"
        ds.BitsAllocated = ds.BitsStored = 16
        ds.HighBit, ds.PixelRepresentation = 15, 1
        ds.RescaleSlope, ds.RescaleIntercept = 1, 0
        ds.ImageOrientationPatient, ds.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [-30, 20, 3 * k]
        ds.PixelSpacing, ds.SliceThickness = [2, 1.5], 3
        ds.PixelData = pixels[k].tobytes()
        slices.append(ds)
    return slices


def as_file(ds: Dataset) -> bytes:
    to = BytesIO()
    ds.save_as(to, enforce_file_format=True)
    return to.getvalue()


class Orthanc:
    """A real archive on loopback, with its own storage; only USER may use it."""

    def __init__(self, folder: Path):
        program = shutil.which("Orthanc", path=os.environ["PATH"] + ":/usr/sbin")
        if program is None:
            missing("Orthanc is not installed (Debian's packages orthanc and orthanc-dicomweb)")
        plugin = next((path for path in PLUGINS if path.exists()), None)
        if plugin is None:
            missing("Orthanc's plugin for DICOMweb is not installed (Debian's package orthanc-dicomweb)")
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        settings = {
            "Name": "sat-mcp tests",
            "StorageDirectory": str(folder / "storage"),
            "IndexDirectory": str(folder / "storage"),
            "HttpPort": self.port,
            "DicomServerEnabled": False,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": True,
            "RegisteredUsers": {USER: PASSWORD},
            "Plugins": [str(plugin)],
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
        }
        (folder / "orthanc.json").write_text(json.dumps(settings))
        self.log = open(folder / "orthanc.log", "w")
        self.process = subprocess.Popen([program, str(folder / "orthanc.json")], stdout=self.log, stderr=self.log)
        self.url = f"http://127.0.0.1:{self.port}/dicom-web"
        self.http = requests.Session()
        self.http.trust_env = False
        self.http.auth = (USER, PASSWORD)
        deadline = time.monotonic() + 60
        while True:
            try:
                self.http.get(f"{self.url}/studies", timeout=10).raise_for_status()
                return
            except requests.RequestException as error:
                assert self.process.poll() is None and time.monotonic() < deadline, (error, (folder / "orthanc.log").read_text())
                time.sleep(0.2)

    def take(self, slices: list[Dataset]) -> None:
        """By its own interface, so that nothing of ours or of DICOMweb is needed for it."""
        for ds in slices:
            self.http.post(f"http://127.0.0.1:{self.port}/instances", data=as_file(ds), timeout=60).raise_for_status()

    def search(self, what: str, **query: str) -> list[dict]:
        """QIDO-RS, as keywords and first values."""
        accept = {"accept": "application/dicom+json"}
        answer = self.http.get(f"{self.url}/{what}", params=query, headers=accept, timeout=60)
        answer.raise_for_status()
        return [
            {element.keyword: element.value for element in Dataset.from_json(found) if element.keyword} for found in answer.json()
        ]

    def instance(self, uid: str) -> Dataset:
        """One object, whole."""
        found = self.http.post(f"http://127.0.0.1:{self.port}/tools/lookup", data=uid, timeout=60).json()
        file = self.http.get(f"http://127.0.0.1:{self.port}{found[0]['Path']}/file", timeout=60)
        return pydicom.dcmread(BytesIO(file.content))

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(60)
        self.log.close()


def listing(uids: list[str]) -> bytes:
    return json.dumps([{"00080018": {"vr": "UI", "Value": [uid]}} for uid in uids]).encode()


def multipart(files: list[bytes], boundary: str = "b") -> bytes:
    parts = [b"--" + boundary.encode() + b"\r\nContent-Type: application/dicom\r\n\r\n" + file + b"\r\n" for file in files]
    return b"".join(parts) + b"--" + boundary.encode() + b"--\r\n"


RELATED = 'multipart/related; type="application/dicom"; boundary=b'


class Played:
    """An archive that is played: `http://127.0.0.1:PORT/MANNER` is one that behaves in that manner.

    It holds `slices`; `asked` has the requests, as method, path and headers.
    """

    def __init__(self, certificate: Path | None = None):
        self.slices = series()
        self.asked: list[tuple[str, str, dict]] = []
        played = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_GET(self):
                played.asked.append(("GET", self.path, dict(self.headers)))
                manner = self.path.split("/")[1]
                what = "list" if self.path.split("?")[0].endswith("/instances") else "series"
                try:
                    getattr(played, f"{manner}_{what}", getattr(played, f"good_{what}"))(self)
                except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
                    pass  # whoever asked has heard enough

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                played.asked.append(("POST", self.path, dict(self.headers)))
                getattr(played, f"{self.path.split('/')[1]}_store")(self, body)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        scheme = "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
            scheme = "https"
        self.url = f"{scheme}://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def retrievals(self) -> int:
        return sum(method == "GET" and "instances" not in path for method, path, _ in self.asked)

    def end(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    @staticmethod
    def say(to, status: int, kind: str, body: bytes, **headers: str) -> None:
        to.send_response(status)
        to.send_header("content-type", kind)
        to.send_header("content-length", str(len(body)))
        for name, value in headers.items():
            to.send_header(name.replace("_", "-"), value)
        to.end_headers()
        to.wfile.write(body)

    def good_list(self, to) -> None:
        """Five a page whatever was asked for, as servers with a limit of their own do."""
        offset = int(to.path.partition("offset=")[2] or 0)
        uids = [ds.SOPInstanceUID for ds in self.slices][offset : offset + 5]
        self.say(to, 200 if uids else 204, "application/dicom+json", listing(uids) if uids else b"")

    def good_series(self, to) -> None:
        self.say(to, 200, RELATED, multipart([as_file(ds) for ds in self.slices]))

    # What follows are bad manners.

    def elsewhere_list(self, to) -> None:
        self.say(to, 302, "text/plain", b"", location=f"{self.url}/good/studies/{STUDY}/series/{SERIES}/instances")

    def away_series(self, to) -> None:
        self.say(to, 307, "text/plain", b"", location=f"{self.url}/good/studies/{STUDY}/series/{SERIES}")

    def portal_list(self, to) -> None:
        self.say(to, 200, "text/html", b"<html>Archive^Ann, please log in</html>")

    def long_list(self, to) -> None:
        to.send_response(200)
        to.send_header("content-type", "application/dicom+json")
        to.end_headers()
        to.wfile.write(b"[")
        while True:
            to.wfile.write(b" " * 65536)

    def odd_list(self, to) -> None:
        self.say(to, 200, "application/dicom+json", listing(["../../../etc/passwd"]))

    def endless_series(self, to) -> None:
        to.send_response(200)
        to.send_header("content-type", RELATED)
        to.end_headers()
        to.wfile.write(b"--b\r\nContent-Type: application/dicom\r\n\r\n" + as_file(self.slices[0]))
        while True:
            to.wfile.write(b"\0" * 65536)

    def heads_series(self, to) -> None:
        to.send_response(200)
        to.send_header("content-type", RELATED)
        to.end_headers()
        to.wfile.write(b"--b\r\n")
        while True:
            to.wfile.write(b"X-Header: more\r\n" * 4096)

    def packed_series(self, to) -> None:
        self.say(to, 200, RELATED, b"\x1f\x8b", content_encoding="gzip")

    def unbound_series(self, to) -> None:
        self.say(to, 200, 'multipart/related; type="application/dicom"', multipart([as_file(ds) for ds in self.slices]))

    def pictures_series(self, to) -> None:
        self.say(to, 200, 'multipart/related; type="image/jpeg"; boundary=b', multipart([b"\xff\xd8"]))

    def fewer_series(self, to) -> None:
        self.say(to, 200, RELATED, multipart([as_file(ds) for ds in self.slices[1:]]))

    def others_series(self, to) -> None:
        self.say(to, 200, RELATED, multipart([as_file(ds) for ds in series(uid="2.25.9")]))

    def twice_series(self, to) -> None:
        self.say(to, 200, RELATED, multipart([as_file(self.slices[0])] * len(self.slices)))

    def cut_series(self, to) -> None:
        body = multipart([as_file(ds) for ds in self.slices])
        self.say(to, 200, RELATED, body[: len(body) // 2])

    def broken_series(self, to) -> None:
        body = multipart([as_file(ds) for ds in self.slices])
        to.send_response(200)
        to.send_header("content-type", RELATED)
        to.send_header("content-length", str(len(body)))
        to.end_headers()
        to.wfile.write(body[: len(body) // 2])

    def text_series(self, to) -> None:
        self.say(to, 200, RELATED, multipart([b"Archive^Ann" * 400]))

    def slow_series(self, to) -> None:
        to.send_response(200)
        to.send_header("content-type", RELATED)
        to.end_headers()
        time.sleep(600)

    def full_store(self, to, body: bytes) -> None:
        uids = [pydicom.dcmread(BytesIO(file)).SOPInstanceUID for file in parts(to.headers["content-type"], body)]
        failed = {"00081155": {"vr": "UI", "Value": [uids[0]]}, "00081197": {"vr": "US", "Value": [0xA700]}}
        taken = [{"00081155": {"vr": "UI", "Value": [uid]}} for uid in uids[1:]]
        said = {"00081198": {"vr": "SQ", "Value": [failed]}, "00081199": {"vr": "SQ", "Value": taken}}
        self.say(to, 202, "application/dicom+json", json.dumps(said).encode())

    def portal_store(self, to, _: bytes) -> None:
        self.say(to, 200, "text/html", b"<html>Archive^Ann, please log in</html>")

    def down_store(self, to, _: bytes) -> None:
        self.say(to, 503, "text/plain", b"Archive^Ann was the last")


def parts(kind: str, body: bytes) -> list[bytes]:
    """The files in a body that was sent, taken apart by Python's own reader of MIME."""
    import email.message

    message = email.message_from_bytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n")
    boundary = message.get_boundary().encode()
    pieces = body.split(b"\r\n--" + boundary)
    assert pieces[-1] == b"--\r\n"
    return [piece.split(b"\r\n\r\n", 1)[1] for piece in pieces[1:-1]]
