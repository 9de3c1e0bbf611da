# syntax=docker/dockerfile:1
# One image for each service: docker build --target frontend|router|worker.

FROM node:24-slim AS sources
WORKDIR /app
COPY package.json package-lock.json ./
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
COPY LICENSE package.json ./
COPY --from=generated /app/packages packages
USER 1000:1000
EXPOSE 9100
HEALTHCHECK --interval=10s --start-period=20s CMD ["node", "-e", "fetch('http://127.0.0.1:9100/healthz').then(r => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
STOPSIGNAL SIGTERM

FROM service AS frontend
COPY --from=frontend-modules /app/node_modules node_modules
COPY services/frontend services/frontend
ENTRYPOINT ["node", "services/frontend/src/main.ts", "--config", "/etc/spectrum/gateway.cfg"]

FROM service AS router
COPY --from=router-modules /app/node_modules node_modules
COPY --from=router-modules /app/packages/store/node_modules packages/store/node_modules
COPY services/router services/router
ENTRYPOINT ["node", "services/router/src/main.ts", "--config", "/etc/spectrum/gateway.cfg"]

FROM service AS worker
COPY --from=worker-modules /app/node_modules node_modules
COPY networks networks
COPY services/worker services/worker
ENTRYPOINT ["node", "services/worker/src/main.ts", "--config", "/etc/spectrum/gateway.cfg"]
