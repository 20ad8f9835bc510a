FROM python:3.11-slim

WORKDIR /app
ENV PYTHONUNBUFFERED=1 MLFLOW_DISABLE_TELEMETRY=true HF_HUB_OFFLINE=1

# Dependencies first: they change less often than the code. A CPU wheel of torch laid into wheels/
# keeps the CUDA packages out of the image.
COPY requirements.lock ./
COPY wheel[s] /wheels/
RUN pip install --no-cache-dir --find-links /wheels --constraint requirements.lock torch \
    && pip install --no-cache-dir --no-deps --requirement requirements.lock

COPY . .
RUN pip install --no-cache-dir --no-deps --no-build-isolation --editable . \
    && useradd --create-home app && mkdir -p data/store data/input && chown -R app data
USER app
