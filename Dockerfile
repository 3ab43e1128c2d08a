# An image with nothing in it but the program and the three libraries that it needs.
#
# NOT exercised by CI: nothing builds or runs this automatically.
#
#   docker build -t converge .
#   docker run --rm -p 8080:8080 -v converge:/data --hostname converge -e CONVERGE_JWT_SECRET converge
#
# Give the container a host name that stays: in an image without a machine-id it is what tells a node that its database
# was not copied from another one (docs/operations.md, "The replica's identity").

# The same Debian as below, so that both have the same C library.
FROM swift:6.1-bookworm AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends pkg-config libsqlite3-dev libpq-dev libssl-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /converge
COPY . .
RUN swift build -c release --product converge --static-swift-stdlib \
    && install -D "$(swift build -c release --product converge --static-swift-stdlib --show-bin-path)/converge" \
        /out/converge

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends libsqlite3-0 libpq5 libssl3 ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 converge \
    && useradd --uid 10001 --gid converge --no-create-home --home-dir /data --shell /usr/sbin/nologin converge \
    && install -d -m 700 -o converge -g converge /data
COPY --from=build /out/converge /usr/local/bin/converge
USER converge
WORKDIR /data
VOLUME /data
ENV CONVERGE_DB_PATH=/data/converge.db
EXPOSE 8080 7080
# Docker's own 10 seconds are too few for a graceful stop: docker stop --time 15.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["converge", "health"]
ENTRYPOINT ["converge"]
CMD ["serve"]
