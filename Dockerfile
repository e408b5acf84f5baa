# One image for web, worker, beat and setup; docker-compose.yml says which command each runs.
FROM python:3.13-slim

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 XROUTER_HOME=/var/lib/xrouter
WORKDIR /srv/xrouter
COPY requirements.txt .
RUN pip install --no-cache-dir --require-hashes -r requirements.txt
COPY . .
RUN useradd --system --create-home xrouter && install -d -o xrouter -m 0700 "$XROUTER_HOME"
USER xrouter
EXPOSE 8000
CMD ["python", "-m", "uvicorn", "xrouter.asgi:application", "--host", "0.0.0.0", "--port", "8000", \
     "--loop", "uvloop", "--http", "httptools", "--lifespan", "on", "--no-access-log", "--no-server-header", \
     "--no-proxy-headers", "--timeout-graceful-shutdown", "60"]
