# The edge, self-hosted: `waggle serve` on plain workerd. State and keys live in /data: mount a volume there, one container each.
#
#   docker build -t waggle .
#   docker run -p 8787:8787 -v waggle:/data waggle \
#     --var PUBLIC_URL=https://mcp.example.com --var OIDC_ISSUER=https://login.example.com
#
# Secrets such as UPSTASH_REDIS_REST_TOKEN: `docker run -e NAME … waggle --var NAME` takes them from the environment.
FROM node:24-slim

# workerd checks TLS certificates against those of the system.
RUN apt-get update \
  && apt-get install -y --no-install-recommends ca-certificates \
  && rm -rf /var/lib/apt/lists/*

WORKDIR /app
COPY package.json package-lock.json ./
# Optional dependencies are needed: workerd's binary is one. No package needs its install script.
RUN npm ci --omit=dev --ignore-scripts && npm cache clean --force
COPY . .
# Builds the Worker now, so that the container starts at once and writes to /data only.
RUN node --input-type=module -e "import { bundle } from './cli/bundle.ts'; await bundle()" \
  && mkdir /data && chown node:node /data

USER node
VOLUME /data
EXPOSE 8787
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:8787/healthz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "cli/main.ts", "serve", "--host", "0.0.0.0", "--port", "8787", "--state", "/data"]
