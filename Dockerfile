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
ENV PATH=/opt/venv/bin:$PATH NUMBA_CACHE_DIR=/var/cache/numba PYTHONUNBUFFERED=1
# what fits may compile is in the image, for whoever the container runs as; the folder is open to
# all, as numba keeps no cache where it may not write
RUN mkdir -m 1777 $NUMBA_CACHE_DIR && dasklasso warm && chmod -R a+rwX $NUMBA_CACHE_DIR
USER dasklasso
WORKDIR /work
ENTRYPOINT ["dasklasso"]
CMD ["--help"]
