# docker build --file deploy/gpu.Dockerfile --tag stylereel:gpu .
# torch's package brings CUDA; the host brings the driver (docker run --gpus device=0).
FROM python:3.11-slim-bookworm

RUN useradd --create-home --uid 1000 stylereel \
    && install --directory --owner=stylereel /cache /home/stylereel/.prefect
WORKDIR /opt/stylereel
COPY pyproject.toml README.md LICENSE ./
COPY stylecore stylecore
COPY pipelines pipelines
RUN pip install --no-cache-dir ".[s3,gcs,azure]"

USER stylereel
ENV STYLEREEL_CACHE=/cache PREFECT_HOME=/home/stylereel/.prefect DO_NOT_TRACK=1
# Memory of long runs in whole pieces: see pipelines/__main__.py, by which Prefect's workers do not begin.
ENV GLIBC_TUNABLES=glibc.malloc.tcache_count=0
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
# Containers that share a GPU or a source share this folder: device locks and downloads are in it.
VOLUME /cache
CMD ["prefect", "worker", "start", "--pool", "gpu", "--work-queue", "batches", "--limit", "1"]
