# The exporter and what it runs on, nothing else; docs/container.md says how to run it.
#
# BASE has Debian's or the official image's Python 3.11 or newer with its module venv, a shell and
# certificates. For a build that repeats to the byte, name it by its digest.
ARG BASE=python:3.14-slim-trixie


FROM ${BASE} AS build

# Passed on to pip: an index of your own, or a folder of wheels where there is none.
ARG PIP_INDEX_URL
ARG PIP_NO_INDEX
ARG PIP_FIND_LINKS
# The time of the wheel's files, 2020-01-01; of the image's files the tool that builds it decides.
ARG SOURCE_DATE_EPOCH=1577836800

# Wheels only: nothing is compiled, and no script of a dependency runs.
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_COMPILE=1 PIP_ONLY_BINARY=:all: \
    PIP_ROOT_USER_ACTION=ignore PYTHONDONTWRITEBYTECODE=1 PYTHONHASHSEED=0
WORKDIR /build
COPY requirements.lock requirements-build.lock ./
RUN python3 -m venv tools \
    && python3 -m venv --without-pip /opt/durable-exporter \
    && tools/bin/pip install --require-hashes --requirement requirements-build.lock \
    && tools/bin/pip --python /opt/durable-exporter/bin/python \
        install --require-hashes --requirement requirements.lock
COPY . source
RUN export SOURCE_DATE_EPOCH \
    && tools/bin/pip wheel --no-deps --no-build-isolation --wheel-dir wheels ./source \
    && tools/bin/pip --python /opt/durable-exporter/bin/python \
        install --no-deps --no-index wheels/*.whl \
    && cd /opt/durable-exporter \
    && find bin -mindepth 1 ! -name 'python*' ! -name durable-exporter -delete \
    # Taken without a look at the source: its time may change when an image is made of it.
    && bin/python -m compileall -q --invalidation-mode unchecked-hash lib


FROM ${BASE} AS system

ENV PYTHONDONTWRITEBYTECODE=1 PYTHONHASHSEED=0
RUN library=$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))') \
    && rm -rf /usr/share/python-wheels /usr/lib/python3/dist-packages /usr/local/bin/2to3* \
        /usr/local/bin/idle* /usr/local/bin/pip* /usr/local/bin/pydoc* \
        /var/lib/apt/lists/* /var/cache/* /var/log/* /usr/share/man /usr/share/locale /root/.cache \
    && (cd "$library" && rm -rf ensurepip idlelib lib2to3 pydoc_data test tkinter turtledemo \
        site-packages/*) \
    && find /usr/share/doc ! -type d ! -name copyright -delete \
    # The official image has no bytecode at all, Debian's goes by the times of files.
    && find "$library" -depth -name __pycache__ -exec rm -r {} + \
    && python3 -m compileall -q --invalidation-mode unchecked-hash "$library" \
    # Nobody becomes root by a program, and nobody but root may write anywhere.
    && find / -xdev -type f -perm /6000 -exec chmod a-s {} + \
    && find /run /tmp /var -xdev -type d -perm -0002 -exec chmod 0755 {} + \
    # A new named volume takes its owner from here.
    && install -d -o 65532 -g 65532 -m 0700 /var/lib/durable-functions-exporter


# Anew, so that what was removed is in no layer. The layer of the system changes with its base
# only, that of the exporter with each release.
FROM scratch

COPY --from=system / /
COPY --from=build /opt/durable-exporter /opt/durable-exporter
ENV PATH=/opt/durable-exporter/bin:/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8 \
    PYTHONDONTWRITEBYTECODE=1 PYTHONSAFEPATH=1 PYTHONUNBUFFERED=1
USER 65532:65532
EXPOSE 10771
STOPSIGNAL SIGTERM
# Not the whole command: this one loads a third of it.
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s --retries=3 \
    CMD ["python", "-m", "exporter.cli.healthy"]
ENTRYPOINT ["durable-exporter"]

ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="durable-functions-exporter" \
    org.opencontainers.image.description="Prometheus exporter for Azure Durable Functions" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}"
