"""Traces by OTLP, decoded with OpenTelemetry's own messages, and what the log says of a patient: nothing."""

import gzip
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from http_server import Server, fault
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse

TARGETS = ["left hippocampus", "brainstem"]
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "00f067aa0ba902b7"


class Collector:
    """Stands in for a collector: takes spans at /v1/traces and keeps them."""

    def __init__(self):
        self.spans, self.resources = [], []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                assert self.path == "/v1/traces" and self.headers["content-type"] == "application/x-protobuf"
                collector.take(ExportTraceServiceRequest.FromString(body))
                answer = ExportTraceServiceResponse().SerializeToString()
                self.send_response(200)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self, request: ExportTraceServiceRequest) -> None:
        for of_resource in request.resource_spans:
            self.resources.append(plain(of_resource.resource.attributes))
            for scope in of_resource.scope_spans:
                self.spans.extend(scope.spans)


def plain(attributes) -> dict:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in attributes}


@pytest.fixture
def collector():
    collector = Collector()
    yield collector
    collector.server.shutdown()


@pytest.fixture
def patient(scans, tmp_path):
    """A scan whose folder and name tell of a patient."""
    folder = tmp_path / "Mustermann_Erika_19640812"
    folder.mkdir()
    scan = folder / "MRN0815-hippocampus-biopsy.nii.gz"
    scan.write_bytes((scans / "head.nii.gz").read_bytes())
    return scan


def whole_job(server: Server, scan, **more) -> None:
    """All that a caller can do, and all that a caller can do wrong."""
    asked = {"image": str(scan), "modality": "mri", "targets": TARGETS}
    answer = server.call("segment", asked, **more)["structuredContent"]
    assert answer["status"] == "done"
    server.call("segment", asked)
    server.call("measure_volume", {"result_id": answer["result_id"], "image": str(scan)})
    server.call("list_anatomy", {"query": "left hippocampus"})
    server.get("/results/" + answer["result_id"])
    for wrong in (
        {**asked, "targets": ["left hippocampal thing"]},
        {**asked, "image": str(scan.with_name("MRN0815-gone.nii.gz"))},
        {**asked, "image": "/etc/Mustermann.nii"},
    ):
        fault(server.call("segment", wrong))
    scan.with_name("MRN0815-broken.nii.gz").write_bytes(scan.read_bytes()[:2000])
    fault(server.call("segment", {**asked, "image": str(scan.with_name("MRN0815-broken.nii.gz"))}))


def test_no_line_of_the_log_tells_of_the_patient(environment, patient, tmp_path):
    with Server(environment, patient.parent, tmp_path / "results", SAT_MCP_LOG="trace,rmcp=error,ort=warn") as server:
        whole_job(server, patient)
        assert server.put(patient.read_bytes(), headers={"authorization": "Bearer s3cret-token"}).status_code == 201
        assert server.end() == 0
    lines = [json.loads(line) for line in server.log]
    told = [line for line in lines if line["message"] in ("answered", "refused", "image received")]
    assert len(told) >= 8 and all(line["level"] == "INFO" and line["timestamp"] for line in told)
    log = "".join(server.log).lower()
    for secret in ("mustermann", "19640812", "mrn0815", "biopsy", "hippocamp", "brainstem", "s3cret"):
        assert secret not in log, [line for line in server.log if secret in line.lower()][:3]


@pytest.mark.parametrize("carrier", ["header", "message"])
def test_a_call_goes_on_with_its_callers_trace(environment, patient, collector, tmp_path, carrier):
    parent = f"00-{TRACE}-{PARENT}-01"
    other = "00-ffffffffffffffffffffffffffffffff-ffffffffffffffff-01"
    # What the message itself says counts more than what its request says.
    more = {"headers": {"traceparent": parent}}
    if carrier == "message":
        more = {"headers": {"traceparent": other}, "meta": {"traceparent": parent}}
    with Server(
        environment, patient.parent, tmp_path / "results", OTEL_EXPORTER_OTLP_ENDPOINT=collector.url
    ) as server:
        whole_job(server, patient, **more)
        assert server.end() == 0
    mine = [span for span in collector.spans if span.trace_id.hex() == TRACE]
    named = {name: [span for span in mine if span.name == name] for name in {span.name for span in mine}}
    assert set(named) == {"tools/call segment", "read the image", "wait in the queue", "run", "network", "measure", "write"}
    # On a slow machine the caller is told to ask again, in the same trace; the run is one.
    calls, (run,) = named["tools/call segment"], named["run"]
    for call in calls:
        assert call.parent_span_id.hex() == PARENT and call.kind == call.SPAN_KIND_SERVER
    above = {call.span_id for call in calls}
    for name in ("read the image", "wait in the queue", "run"):
        assert {span.parent_span_id for span in named[name]} <= above, name
    for name in ("network", "measure", "write"):
        assert [span.parent_span_id for span in named[name]] == [run.span_id], name
    said = plain(run.attributes)
    assert said["targets"] == 2 and said["windows"] >= 1 and said["provider"] == "cpu" and said["model"] == "sat-mini"
    assert plain(calls[0].attributes)["gen_ai.tool.name"] == "segment"
    # The other calls had no trace to go on with, and those that failed say how.
    codes = {plain(span.attributes).get("error.type") for span in collector.spans if span.name == "tools/call segment"}
    assert codes >= {"unknown_target", "not_found", "outside_roots", "bad_image", None}
    assert {resource["service.name"] for resource in collector.resources} == {"sat-mcp"}
    told = "".join(map(str, collector.spans)).lower()
    for secret in ("mustermann", "mrn0815", "hippocamp", "brainstem"):
        assert secret not in told


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"OTEL_SDK_DISABLED": "true"},
        {"OTEL_TRACES_EXPORTER": "none"},
        {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
    ],
)
def test_nothing_is_sent_where_the_environment_does_not_want_it(environment, scans, collector, tmp_path, more):
    settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, **more} if more else {}
    with Server(environment, scans, tmp_path / "results", **settings) as server:
        server.call("list_anatomy", {"query": "liver"})
        assert server.end() == 0
    assert not collector.spans
    # Never silently: who asked for what there isn't is told.
    assert ("grpc" in "".join(server.log)) == ("grpc" in more.values())


def test_the_service_is_called_as_the_environment_calls_it(environment, scans, collector, tmp_path):
    settings = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{collector.url}/v1/traces", "OTEL_SERVICE_NAME": "radiology"}
    with Server(environment, scans, tmp_path / "results", **settings) as server:
        server.call("list_anatomy", {"query": "liver"})
        assert server.end() == 0
    assert {resource["service.name"] for resource in collector.resources} == {"radiology"}


def test_a_collector_that_is_not_there_costs_a_line_in_the_log_and_nothing_else(environment, scans, tmp_path):
    with Server(
        environment, scans, tmp_path / "results", OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9"
    ) as server:
        assert not server.call("list_anatomy", {"query": "liver"})["isError"]
        assert server.end() == 0
    assert any("opentelemetry" in line for line in server.log), server.log
