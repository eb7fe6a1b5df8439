# syntax=docker/dockerfile:1
# Node.js 24.18.0 on Debian 12: docs/release.md says how to renew the digest.
ARG BASE=docker.io/library/node:24-bookworm-slim@sha256:6f7b03f7c2c8e2e784dcf9295400527b9b1270fd37b7e9a7285cf83b6951452d

FROM ${BASE} AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY release/node/package.json ./release/node/
RUN npm ci --omit=dev --ignore-scripts

FROM ${BASE} AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc tsconfig.json tsconfig.build.json ./
COPY release/node/package.json ./release/node/
RUN npm ci --ignore-scripts
COPY src ./src
RUN npm run prepack

FROM ${BASE}
# Nothing is installed at run time.
RUN rm -rf /usr/local/lib/node_modules /usr/local/include /opt/yarn* \
      /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/corepack /usr/local/bin/yarn /usr/local/bin/yarnpkg
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
WORKDIR /app
ENV NODE_ENV=production
COPY --from=dependencies /app/node_modules ./node_modules
COPY package.json LICENSE ./
COPY --from=build /app/dist ./dist
# The command backstop prints it.
COPY manifests/components/backstop ./manifests/components/backstop
USER 65532:65532
EXPOSE 8443 8081
# Room for new objects that neither grows nor shrinks, whatever the memory limit, and one thread to help with them: docs/performance.md.
ENTRYPOINT ["node", "--min-semi-space-size=16", "--max-semi-space-size=16", "--v8-pool-size=1", "/app/dist/main.js"]
