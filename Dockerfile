# Two images: `--target operator`, which also holds the command line, and `--target agent`.
# No step depends on the processor: build for another one with `--platform`.
ARG BASE_IMAGE=docker.io/library/python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS installer
# SOURCE_DATE_EPOCH: bytecode is checked against its source's hash, so equal files give equal layers.
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ONLY_BINARY=:all: \
    PIP_ROOT_USER_ACTION=ignore \
    SOURCE_DATE_EPOCH=315532800
RUN python3 -m venv --without-pip /opt/carbonaware

FROM installer AS operator-packages
COPY deploy/requirements/operator.txt deploy/requirements/cli.txt /
# A read-only root keeps no bytecode. The Kubernetes client's typed classes, 80 MB of it, are never loaded.
RUN python3 -m pip --python /opt/carbonaware/bin/python install --no-compile --require-hashes -r /operator.txt -r /cli.txt \
    && python3 -m compileall -q -x 'kubernetes/(aio/)?client/(api|models)/' /opt/carbonaware/lib

FROM installer AS agent-packages
COPY deploy/requirements/agent.txt /
RUN python3 -m pip --python /opt/carbonaware/bin/python install --no-compile --require-hashes -r /agent.txt \
    && python3 -m compileall -q /opt/carbonaware/lib

FROM installer AS project
COPY deploy/requirements/build.txt /
RUN python3 -m venv /opt/build && /opt/build/bin/pip install --require-hashes -r /build.txt
WORKDIR /source
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY agent agent
COPY operator operator
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
    && python3 -m pip --python /opt/carbonaware/bin/python install --no-compile --no-deps --root /project /wheels/*.whl \
    && python3 -m compileall -q -s /project /project

FROM ${BASE_IMAGE} AS runtime
ARG BASE_IMAGE
ARG REVISION=unknown
ARG VERSION=unknown
LABEL org.opencontainers.image.base.name="${BASE_IMAGE}" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.vendor="carbonaware" \
      org.opencontainers.image.version="${VERSION}"
# The root file system may be read-only, and no folder that a user can write to is searched for modules.
ENV PATH=/opt/carbonaware/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONSAFEPATH=1 \
    PYTHONUNBUFFERED=1

FROM runtime AS operator
LABEL org.opencontainers.image.title="carbonaware operator" \
      org.opencontainers.image.description="Holds Kubernetes jobs until the grid is clean and accounts for what they used"
# What changes least comes first, so that a change of our own code is one small layer.
COPY --from=operator-packages /opt/carbonaware /opt/carbonaware
COPY --from=project /project /
USER 65532:65532
ENTRYPOINT ["carbonaware-operator"]

FROM runtime AS agent
LABEL org.opencontainers.image.title="carbonaware agent" \
      org.opencontainers.image.description="Measures the energy of a Kubernetes node and shares it out among its pods"
COPY --from=agent-packages /opt/carbonaware /opt/carbonaware
COPY --from=project /project /
# A node's counters need root, which the pod asks for where it may: not by default.
USER 65532:65532
ENTRYPOINT ["carbonaware-agent"]
