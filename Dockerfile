# docker build -t dasklasso:0.1.0 .
# docker run --rm -v "$PWD:/work" --user "$(id -u):$(id -g)" dasklasso:0.1.0 run /app/pipelines/quickstart.toml
FROM python:3.12-slim AS build
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
COPY pyproject.toml README.md LICENSE /src/
COPY dasklasso /src/dasklasso
RUN pip install --no-cache-dir '/src[hdf5,plot,s3]'

FROM python:3.12-slim
COPY --from=build /opt/venv /opt/venv
COPY pipelines /app/pipelines
COPY data /app/data
RUN useradd --uid 10001 --create-home dasklasso \
    && mkdir /work && chown dasklasso /work
# numba keeps what it compiled here, whoever the container runs as
ENV PATH=/opt/venv/bin:$PATH NUMBA_CACHE_DIR=/tmp/numba PYTHONUNBUFFERED=1
USER dasklasso
WORKDIR /work
ENTRYPOINT ["dasklasso"]
CMD ["--help"]
