# The service, with its page and the models in the box, on a processor:
#
#   docker build -t kineograph .
#   docker run --rm -p 8000:8000 -v kineograph:/data -e KINEOGRAPH_API_KEY="$(openssl rand -hex 24)" kineograph
#
# and any other command, in the folder /data:
#
#   docker run --rm -v "$PWD:/data" --user "$(id -u)" kineograph generate "circle moving up-right" --out first.mp4

FROM python:3.11-slim AS build
WORKDIR /src
COPY . .
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.11-slim
COPY constraints.txt /tmp/constraints.txt
# PyTorch's own index has a build without CUDA, which is far smaller.
RUN pip install --no-cache-dir --index-url https://download.pytorch.org/whl/cpu torch==2.13.0
COPY --from=build /wheels /tmp/wheels
RUN pip install --no-cache-dir -c /tmp/constraints.txt /tmp/wheels/*.whl \
 && rm -r /tmp/wheels \
 && useradd --create-home kineograph \
 && install --directory --owner kineograph /data

USER kineograph
WORKDIR /data
VOLUME /data
EXPOSE 8000
HEALTHCHECK --start-period=30s CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/readyz', timeout=5)"]
ENTRYPOINT ["kineograph"]
# Beyond this machine it needs an API key, and says so.
CMD ["serve", "--host", "0.0.0.0", "--data", "/data/service"]
