# tailrace with its native decoder and every driver: docker build -t tailrace . && docker run --rm -i tailrace load --to ...
FROM rust:1-slim-bookworm AS build
RUN apt-get update -qq && apt-get install -y -qq python3 python3-venv
COPY . /tailrace
WORKDIR /tailrace
RUN python3 -m venv /build
RUN /build/bin/python -m pip install --quiet --constraint constraints.txt build hatchling maturin
RUN PYTHON=/build/bin/python scripts/build-dists /dists

FROM python:3.13-slim-bookworm
COPY --from=build /dists /dists
COPY constraints.txt /tailrace/constraints.txt
COPY scripts/install-dists /tailrace/scripts/install-dists
RUN /tailrace/scripts/install-dists python /dists whl "[all]"
RUN useradd --create-home tailrace
ENV TAILRACE_INSTALLED_BY=container
USER tailrace
WORKDIR /home/tailrace
ENTRYPOINT ["tailrace"]
