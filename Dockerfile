# One node. Where no registry can be reached, scripts/build-base-images.sh makes
# the two base images from Debian packages.
ARG GO_IMAGE=golang:1.26-bookworm
ARG RUN_IMAGE=debian:bookworm-slim

FROM ${GO_IMAGE} AS build
WORKDIR /src
# On their own, so that they are fetched again only when they change.
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=unknown
RUN CGO_ENABLED=0 go build -buildvcs=false -trimpath -ldflags "-s -w -X main.version=${VERSION}" \
    -o /out/ ./cmd/selfware-node ./examples/shopd

FROM ${RUN_IMAGE}
COPY --from=build /out/ /usr/local/bin/
COPY examples/*.yaml /examples/
# Commands find the node here: docker exec CONTAINER selfware-node status
ENV SELFWARE_DATA=/var/lib/selfware
VOLUME /var/lib/selfware
EXPOSE 7400/tcp 7400/udp 7401/tcp 7402/tcp
# Healthy is a node whose cluster has a leader that it can ask.
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s --retries=3 \
    CMD ["selfware-node", "status", "--json"]
# The node's keeper may be process 1: it reaps what nobody else does, starts a dead
# agent again under its children, and SIGTERM ends all of it in good order.
ENTRYPOINT ["selfware-node"]
CMD ["run"]
