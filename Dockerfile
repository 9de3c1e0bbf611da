# syntax=docker/dockerfile:1
# One image for each service: docker build --target frontend|router|worker.

FROM node:24-slim AS sources
WORKDIR /app
COPY package.json package-lock.json tsconfig.base.json LICENSE ./
COPY packages packages
COPY networks networks
COPY services services
COPY proto proto
COPY scripts scripts
# Only names and versions of what is in there: npm wants to see every workspace that the lock file lists.
COPY test test

FROM sources AS generated
RUN npm ci --no-audit --no-fund && node scripts/generate.mjs

# Only what one service needs, without anything for development.
FROM sources AS frontend-modules
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund -w services/frontend
FROM sources AS router-modules
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund -w services/router
FROM sources AS worker-modules
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund -w services/worker

FROM node:24-slim AS service
ENV NODE_ENV=production SPECTRUM_HTTP_HOST=0.0.0.0 SPECTRUM_HTTP_PORT=9100
WORKDIR /app
USER 1000:1000
EXPOSE 9100
HEALTHCHECK --interval=10s --start-period=20s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:9100/healthz').then(r => { process.exitCode = r.ok ? 0 : 1 })"]
STOPSIGNAL SIGTERM

FROM service AS frontend
COPY --from=frontend-modules /app .
COPY --from=generated /app/packages/messages/src/gen packages/messages/src/gen
# A small young generation: what a frontend reads and writes lives for milliseconds, and V8's default lets it pile up.
ENTRYPOINT ["node", "--max-semi-space-size=4", "services/frontend/src/main.ts", "--config", "/etc/spectrum/gateway.cfg"]

FROM service AS router
COPY --from=router-modules /app .
COPY --from=generated /app/packages/messages/src/gen packages/messages/src/gen
COPY --from=generated /app/packages/store/src/gen packages/store/src/gen
ENTRYPOINT ["node", "services/router/src/main.ts", "--config", "/etc/spectrum/gateway.cfg"]

FROM service AS worker
COPY --from=worker-modules /app .
COPY --from=generated /app/packages/messages/src/gen packages/messages/src/gen
ENTRYPOINT ["node", "services/worker/src/main.ts", "--config", "/etc/spectrum/gateway.cfg"]
