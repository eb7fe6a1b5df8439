# syntax=docker/dockerfile:1
# Node.js 24.18.0 on Debian 12: docs/release.md says how to renew the digest.
ARG BASE=docker.io/library/node:24-bookworm-slim@sha256:6f7b03f7c2c8e2e784dcf9295400527b9b1270fd37b7e9a7285cf83b6951452d

# What runs: the same for every architecture.
FROM --platform=${BUILDPLATFORM} ${BASE} AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY release ./release
COPY LICENSE README.md tsconfig.json tsconfig.build.json ./
COPY manifests/components/backstop ./manifests/components/backstop
COPY src ./src
RUN npm run build

# Node.js without its symbols, its licence, the libraries that it is linked with, and what scanners read of their Debian packages.
FROM ${BASE} AS node
RUN apt-get update && apt-get install -y --no-install-recommends binutils
WORKDIR /root-of-image
RUN set -eu; \
    mkdir -p etc usr/local/bin var/lib/dpkg/status.d; \
    strip -o usr/local/bin/node /usr/local/bin/node; \
    cp --parents /usr/local/LICENSE .; \
    ldd /usr/local/bin/node | grep -o '/[^ ]*' | while read -r library; do \
      cp -L --parents "$library" .; \
      package="$(dpkg-query --search "*/${library##*/}" | sed 's/:.*//;q')"; \
      dpkg-query --status "$package" > "var/lib/dpkg/status.d/$package"; \
      cp --parents "/usr/share/doc/$package/copyright" .; \
    done; \
    cp --parents /etc/debian_version /etc/os-release .; \
    echo 'nonroot:x:65532:65532::/:/sbin/nologin' > etc/passwd; \
    echo 'nonroot:x:65532:' > etc/group; \
    echo 'hosts: files dns' > etc/nsswitch.conf

FROM scratch
LABEL org.opencontainers.image.title="openshell-sideload" \
      org.opencontainers.image.description="Mutating admission webhook that puts the OpenShell supervisor into labelled sandbox pods" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="https://github.com/openshell-sideload/openshell-sideload" \
      org.opencontainers.image.documentation="https://github.com/openshell-sideload/openshell-sideload/blob/main/README.md" \
      org.opencontainers.image.base.name="docker.io/library/node:24-bookworm-slim"
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=node /root-of-image /
COPY --from=build /app/dist /app
WORKDIR /app
ENV NODE_ENV=production
USER 65532:65532
EXPOSE 8443 8081
# Little room for new objects, one compiler of hot code, and one thread to help with both: docs/performance.md.
ENTRYPOINT ["/usr/local/bin/node", "--min-semi-space-size=4", "--max-semi-space-size=8", "--no-maglev", "--v8-pool-size=1", "/app/lib/main.js"]
