# The operator. docker build -t modelport/operator .
ARG BASE=docker.io/library/python:3.13-slim
FROM ${BASE} AS build
ARG PIP_CERT
ARG SSL_CERT_FILE
RUN python3 -m venv /opt/uv && /opt/uv/bin/pip install -q --no-cache-dir uv==0.13.9
ENV UV_PROJECT_ENVIRONMENT=/opt/modelport UV_PYTHON_DOWNLOADS=never UV_PYTHON=python3 UV_NO_CACHE=1 UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1
WORKDIR /src
COPY pyproject.toml uv.lock README.md LICENSE ./
COPY agent/pyproject.toml agent/
COPY runtime/pyproject.toml runtime/
RUN /opt/uv/bin/uv sync -q --frozen --no-dev --no-install-workspace --package modelport
COPY operator operator
RUN /opt/uv/bin/uv sync -q --frozen --no-dev --no-editable --package modelport

FROM ${BASE}
COPY --from=build /opt/modelport /opt/modelport
ENV PATH=/opt/modelport/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin PYTHONUNBUFFERED=1
USER 65532:65532
ENTRYPOINT ["modelport"]
CMD ["run"]
