# The container image. It needs no network beyond its base: scripts/package makes what it copies.
#
#   scripts/package --format=docker
#   docker build --tag holdfast .
#   docker run --init --publish 127.0.0.1:9847:9847 --volume ./holdfast.yml:/etc/holdfast/holdfast.yml:ro \
#     --volume holdfast:/var/lib/holdfast holdfast
#
# Plugins that run a command (barman, wal-g) want a base that has it: --build-arg BASE=….
ARG BASE=debian:12-slim
FROM ${BASE}
# Of BuildKit and of Buildah: amd64 or arm64.
ARG TARGETARCH

COPY dist/docker/${TARGETARCH}/ /

# The number is fixed, so that volumes keep their owner.
RUN groupadd --system --gid 9847 holdfast \
  && useradd --system --uid 9847 --gid 9847 --no-create-home --home-dir /var/lib/holdfast --shell /usr/sbin/nologin holdfast \
  && install -d -o holdfast -g holdfast -m 0700 /var/lib/holdfast

USER holdfast
WORKDIR /var/lib/holdfast
VOLUME /var/lib/holdfast
EXPOSE 9847
STOPSIGNAL SIGTERM

ENTRYPOINT ["/usr/bin/holdfast"]
# Within a container loopback is nobody's: who publishes the port decides who reaches it.
CMD ["run", "--web.listen-address=:9847"]
