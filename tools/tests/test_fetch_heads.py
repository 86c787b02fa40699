"""Label maps come whole from where they are published, or not at all."""

import functools
import hashlib
import http.client
import http.server
import threading

import pytest

import fetch_heads
from fetch_heads import FetchError, fetch_all


@pytest.fixture()
def place(tmp_path, monkeypatch):
    """A server with two small files, and their checksums as what is wanted."""
    folder = tmp_path / "published" / "data" / "training_label_maps"
    folder.mkdir(parents=True)
    (tmp_path / "published" / "LICENSE.txt").write_text("a licence")
    sums = tmp_path / "sums"
    contents = {"one": "one", "two": "two", "LICENSE.txt": "a licence"}
    for name in ("one", "two"):
        (folder / name).write_text(name)
    sums.write_text("".join(f"{hashlib.sha256(c.encode()).hexdigest()}  {n}\n" for n, c in contents.items()))
    monkeypatch.setattr(fetch_heads, "SUMS", sums)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(Quiet, directory=tmp_path / "published")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", folder
        server.shutdown()


def test_files_are_fetched_once(place, tmp_path):
    base, folder = place
    out = tmp_path / "out"
    assert fetch_all(out, base) == 3 and (out / "two").read_text() == "two" and (out / "LICENSE.txt").exists()
    assert fetch_all(out, base) == 0
    (out / "one").write_text("damaged")
    assert fetch_all(out, base) == 1 and (out / "one").read_text() == "one"


def test_another_file_under_the_name_is_refused(place, tmp_path):
    base, folder = place
    (folder / "two").write_text("changed")
    with pytest.raises(FetchError, match="two: has sha256"):
        fetch_all(tmp_path / "out", base)
    assert not (tmp_path / "out" / "two").exists()


def test_what_cannot_be_reached_is_named(place, tmp_path):
    base, folder = place
    (folder / "two").unlink()
    with pytest.raises(FetchError, match="two: HTTP Error 404"):
        fetch_all(tmp_path / "out", base)


def test_a_connection_that_breaks_is_tried_again(place, tmp_path, monkeypatch):
    base, folder = place
    answers = [http.client.IncompleteRead(b"on"), ConnectionResetError("reset")]
    opened = fetch_heads.urllib.request.urlopen

    def breaking(url, timeout):
        if answers:
            raise answers.pop()
        return opened(url, timeout=timeout)

    monkeypatch.setattr(fetch_heads.urllib.request, "urlopen", breaking)
    monkeypatch.setattr(fetch_heads.time, "sleep", lambda seconds: None)
    assert fetch_all(tmp_path / "out", base) == 3 and not answers


def test_the_shipped_sums_are_of_twenty_maps():
    names = list(fetch_heads.wanted())
    assert names == [*(f"training_seg_{n:02d}.nii.gz" for n in range(1, 21)), "LICENSE.txt"]
