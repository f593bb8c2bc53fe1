# syntax=docker/dockerfile:1
# The image of `policyd` and `policyc`: `docker build -t llm-policy-engine .` One program is in it, under both names.
#
# `ci/image.sh` builds it, measures it and runs it. docs/deployment.md explains how to use it.

# Pin both images by digest in your own build: --build-arg BUILD=rust@sha256:… --build-arg RUNTIME=gcr.io/distroless/base-nossl-debian12@sha256:…
ARG BUILD=docker.io/library/rust:1.95-slim-bookworm
# glibc, because the resolver of musl differs from what clusters expect, and because the tests run with glibc. Of what the image
# named `cc` adds to this one, the program needs one library, which is copied below.
ARG RUNTIME=gcr.io/distroless/base-nossl-debian12:nonroot

FROM ${BUILD} AS build
# The C compiler is for SQLite, ring and the allocator. The official image has it.
RUN command -v cc >/dev/null || { apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev; }
WORKDIR /src
COPY . .
# Seconds since 1970 of the sources' last commit: two builds of one commit are equal then.
ARG SOURCE_DATE_EPOCH=0
ENV SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH} CARGO_TERM_COLOR=never
# Relocations are packed, which saves more than a megabyte and needs glibc 2.36.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    RUSTFLAGS="--remap-path-prefix=/src=. --remap-path-prefix=/usr/local/cargo=cargo" \
    cargo rustc --locked --release -p policy-image --bin policy-engine -- -C link-arg=-Wl,-z,pack-relative-relocs \
 && install -D -m 0755 target/release/policy-engine /programs/usr/local/bin/policyd \
 && ln -s policyd /programs/usr/local/bin/policyc \
 && install -D -m 0644 -t /programs/usr/lib "$(gcc -print-file-name=libgcc_s.so.1)" \
 && install -D -m 0644 -t /programs/usr/share/doc/llm-policy-engine LICENSE NOTICE \
 && install -d /data

FROM ${RUNTIME}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="LLM-Policy-Engine" \
      org.opencontainers.image.description="Policy decisions for LLM traffic, over REST and gRPC" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /programs/ /
COPY --from=build --chown=65532:65532 --chmod=0700 /data/ /var/lib/policyd/
# A container is reached from outside, so the ports listen on every address of it. `policyd` refuses to start so without
# authentication. The admin port stays on loopback until METRICS_HOST says otherwise.
ENV HOST=0.0.0.0 \
    DATA_DIR=/var/lib/policyd
WORKDIR /var/lib/policyd
USER 65532:65532
EXPOSE 3000 50051 9090
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s CMD ["/usr/local/bin/policyd", "health"]
ENTRYPOINT ["/usr/local/bin/policyd"]
