# sat-mcp in a container.
#
#     docker build -t sat-mcp .                        # for CPUs
#     docker build --target cuda -t sat-mcp:cuda .     # for NVIDIA GPUs: with CUDA 13 and cuDNN 9, 64-bit x86 only
#     docker run -i --rm --network none -v ~/scans:/scans:ro -v sat-data:/data sat-mcp
#
# The base images are arguments, so that a mirror's or one's own may stand in.
ARG RUST_IMAGE=docker.io/library/rust:1-slim-bookworm
ARG PYTHON_IMAGE=docker.io/library/python:3.13-slim-bookworm
ARG BASE_IMAGE=docker.io/library/debian:bookworm-slim

FROM ${RUST_IMAGE} AS program
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY benches benches
COPY share/viewer share/viewer
COPY src src
RUN cargo build --release --locked --bin sat-mcp && strip -o /sat-mcp target/release/sat-mcp

# ONNX Runtime as its Python packages carry it. The program needs their libraries, licences and names, and no Python.
FROM ${PYTHON_IMAGE} AS cpu-runtime
ARG ONNXRUNTIME=1.32.0
RUN pip install --no-cache-dir --no-compile --no-deps --prefix /opt/sat-mcp "onnxruntime==${ONNXRUNTIME}"
COPY packaging/docker/prune.sh /
RUN sh /prune.sh /opt/sat-mcp

FROM ${PYTHON_IMAGE} AS cuda-runtime
ARG ONNXRUNTIME_GPU=1.31.1
RUN pip install --no-cache-dir --no-compile --prefix /opt/sat-mcp "onnxruntime-gpu[cuda,cudnn]==${ONNXRUNTIME_GPU}"
COPY packaging/docker/prune.sh /
RUN sh /prune.sh /opt/sat-mcp

FROM ${BASE_IMAGE} AS base
# What the MCP registry holds against the name in server.json.
LABEL io.modelcontextprotocol.server.name="io.github.OWNER/sat-mcp" \
      org.opencontainers.image.title="sat-mcp" \
      org.opencontainers.image.description="Finds structures in 3-D radiology scans by name, for agents. Not a medical device." \
      org.opencontainers.image.licenses="Apache-2.0"
# /data holds results and the cache; a new volume mounted there takes over its owner.
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /data --shell /usr/sbin/nologin sat \
    && install -d -o sat -g sat /data && install -d /scans
COPY LICENSE share/viewer/LICENSES.txt /opt/sat-mcp/
COPY share/demo /opt/sat-mcp/share/sat-mcp/demo
COPY onnx/sat-mini /opt/sat-mcp/share/sat-mcp/models/sat-mini
COPY --from=program /sat-mcp /opt/sat-mcp/bin/sat-mcp
ENV PATH=/opt/sat-mcp/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    SAT_MCP_RESULTS=/data/results \
    SAT_MCP_DATA_ROOTS=/scans
USER 10001:10001
WORKDIR /scans
# No HEALTHCHECK: a server on stdio has no address to ask. Over HTTP let the orchestrator ask /healthz.
ENTRYPOINT ["sat-mcp"]
CMD ["serve"]

FROM base AS cuda
COPY --from=cuda-runtime /opt/sat-mcp/lib /opt/sat-mcp/lib
# What NVIDIA's container runtime lends to the container.
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility

# Last, so that it is what a build without --target makes.
FROM base AS cpu
COPY --from=cpu-runtime /opt/sat-mcp/lib /opt/sat-mcp/lib
