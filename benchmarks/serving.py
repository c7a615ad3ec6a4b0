"""Latency and requests a second of the service on loopback, beside what would be used instead, in one run.

Ours runs with everything on: keys, rate limits (raised), input gate, decoding in processes of their own, the
journal committed before each answer. The plain peer is FastAPI, Pillow and torch eager with the same weights
(`benchmarks/peers/plain_service.py`); LitServe runs our graph in ONNX Runtime, where an interpreter that has
litserve, onnxruntime and pillow is named. Films are phantoms, so that anybody can run it.

    python benchmarks/serving.py [--seconds 6] [--litserve PYTHON]
"""

import argparse
import http.client
import io
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset

from commit import current_commit
from hilum.data.phantom.faults import PhantomFaults
from hilum.data.phantom.film import draw_film
from hilum.inference.engine import Engine
from hilum.registry.bundle import find_released

MEASURED = Path(__file__).resolve().parents[1] / "docs" / "measured" / "serving.json"
PEERS = Path(__file__).parent / "peers"
BOUNDARY = "film-boundary"
BATCH = 10
UNLIMITED = {"HILUM_REQUESTS_PER_MINUTE": "10000000", "HILUM_IMAGES_PER_MINUTE": "100000000"}
_START_SECONDS = 90


def draw_films() -> dict[str, bytes]:
    """Return a 512 px PNG, a 1,024 px JPEG and a DICOM of 2 megapixels."""
    drawn = {
        side: draw_film(3, seed=1, side_px=side, faults=PhantomFaults()).pixels for side in (512, 1024, 1448)
    }
    _, png = cv2.imencode(".png", drawn[512])
    _, jpeg = cv2.imencode(".jpg", drawn[1024], [cv2.IMWRITE_JPEG_QUALITY, 92])
    return {
        "PNG 512 px": png.tobytes(),
        "JPEG 1,024 px": jpeg.tobytes(),
        "DICOM 2 MP": _to_dicom(drawn[1448]),
    }


def _to_dicom(pixels: np.ndarray) -> bytes:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = pydicom.uid.DigitalXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = "1.2.3"
    film = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    film.SOPClassUID, film.SOPInstanceUID = meta.MediaStorageSOPClassUID, "1.2.3"
    film.Modality, film.PhotometricInterpretation = "DX", "MONOCHROME2"
    film.Rows, film.Columns = pixels.shape
    film.SamplesPerPixel, film.PixelRepresentation = 1, 0
    film.BitsAllocated, film.BitsStored, film.HighBit = 16, 12, 11
    film.PixelData = (pixels.astype(np.uint16) * 16).tobytes()
    stream = io.BytesIO()
    film.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def form(films: list[bytes], field: str) -> bytes:
    """Return a multipart body."""
    parts = b"".join(
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"; filename="film"\r\n\r\n'.encode()
        + film
        + b"\r\n"
        for film in films
    )
    return parts + f"--{BOUNDARY}--\r\n".encode()


@contextmanager
def running(command: list[str], port: int, **environment: str) -> Iterator[subprocess.Popen]:
    """Run a server in a session of its own until it listens; end it with all that it started."""
    process = subprocess.Popen(
        command,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + _START_SECONDS
        while True:
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{command}: does not start")
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.2)
        yield process
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def load(port: int, path: str, body: bytes, *, key: str | None, clients: int, seconds: float) -> dict:
    """Ask as fast as answers come, with so many clients; return latencies and the rate."""
    words = [
        f"POST {path} HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}",
        f"Content-Length: {len(body)}",
        *([f"Authorization: Bearer {key}"] if key else []),
    ]
    request = "\r\n".join([*words, "", ""]).encode() + body
    taken: list[float] = []
    lock = threading.Lock()
    failures: list[str] = []

    def ask(until: float) -> None:
        with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
            while time.perf_counter() < until and not failures:
                start = time.perf_counter()
                connection.sendall(request)
                status, content = receive(connection)
                with lock:
                    taken.append(time.perf_counter() - start)
                    if status != 200:
                        failures.append(f"{status} {content[:200]!r}")

    ask(time.perf_counter() + 1.0)  # warm
    taken.clear()
    began = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(ask, [began + seconds] * clients))
    if failures:
        raise SystemExit(f"{path}: {failures[0]}")
    return _summarize(taken, time.perf_counter() - began)


def receive(connection: socket.socket) -> tuple[int, bytes]:
    """Return status and body of one answer; on two cores a client must not cost more than it has to."""
    received = b""
    while (end := received.find(b"\r\n\r\n")) < 0:
        received += _some_of(connection)
    head, body = received[:end].lower(), [received[end + 4 :]]
    length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
    while sum(map(len, body)) < length:
        body.append(_some_of(connection))
    return int(head.split(maxsplit=2)[1]), b"".join(body)


def _some_of(connection: socket.socket) -> bytes:
    received = connection.recv(1 << 18)
    if not received:
        raise SystemExit("the service closed the connection")
    return received


def _summarize(taken: list[float], seconds: float) -> dict:
    p50, p95, p99 = (1000 * float(value) for value in np.percentile(taken, (50, 95, 99)))
    return {
        "p50_ms": p50,
        "p95_ms": p95,
        "p99_ms": p99,
        "per_second": len(taken) / seconds,
        "requests": len(taken),
    }


def measure(
    port: int, films: dict[str, bytes], *, key: str | None, seconds: float, kinds: list[str]
) -> list[dict]:
    """Measure each kind of request with each film at one and at four clients."""
    rows = []
    for kind in kinds:
        for name, film in films.items():
            many = kind == "batch"
            body = form([film] * (BATCH if many else 1), "files" if many else "file")
            path = "/predict" if kind == "predict" else f"/predict/{kind}"
            for clients in (1, 4):
                row = load(port, path, body, key=key, clients=clients, seconds=seconds)
                rows.append({"kind": kind, "film": name, "clients": clients, **row})
                print(rows[-1], flush=True)
    return rows


def measure_ours(films: dict[str, bytes], seconds: float) -> list[dict]:
    """Measure `hilum serve`."""
    port = free_port()
    with tempfile.TemporaryDirectory() as data:
        command = [sys.executable, "-m", "hilum", "serve", "--demo", "--port", str(port), "--data", data]
        with running(command, port, **UNLIMITED) as process:
            assert process.stdout is not None
            keys = dict(process.stdout.readline().split() for _ in range(3))
            wait_ready(port)
            return measure(
                port, films, key=keys["clinician"], seconds=seconds, kinds=["predict", "explain", "batch"]
            )


def ask_one(port: int, film: bytes, key: str) -> tuple[int, dict]:
    """Return status and body of one `POST /predict`."""
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}", "Authorization": f"Bearer {key}"}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("POST", "/predict", form([film], "file"), headers)
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def wait_ready(port: int) -> None:
    """Wait until the service is ready."""
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", "/ready")
        if connection.getresponse().status == 200:
            return
        time.sleep(0.2)
    raise SystemExit("not ready")


def measure_engine(films: dict[str, bytes], seconds: float) -> list[dict]:
    """Measure the engine alone, called from threads: HTTP, keys and the journal cost the difference."""
    engine = Engine.open(find_released())
    rows = []
    for kind in ("predict", "explain"):
        for name, film in films.items():
            for clients in (1, 4):
                taken: list[float] = []
                began = time.perf_counter()

                def ask(
                    until: float, film: bytes = film, taken: list[float] = taken, kind: str = kind
                ) -> None:
                    while (start := time.perf_counter()) < until:
                        engine.predict(film, explain=kind == "explain")
                        taken.append(time.perf_counter() - start)

                with ThreadPoolExecutor(clients) as pool:
                    list(pool.map(ask, [began + seconds / 2] * clients))
                rows.append({"kind": kind, "film": name, "clients": clients,
                             **_summarize(taken, time.perf_counter() - began)})  # fmt: skip
    engine.close()
    return rows


def main() -> None:
    """Measure all, print the ratios, write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=6.0, help="for each figure")
    parser.add_argument("--litserve", help="interpreter that has litserve, onnxruntime and pillow")
    arguments = parser.parse_args()
    films = draw_films()
    services = {"hilum": measure_ours(films, arguments.seconds)}
    port = free_port()
    with running([sys.executable, str(PEERS / "plain_service.py"), str(port)], port):
        services["plain"] = measure(
            port, films, key=None, seconds=arguments.seconds, kinds=["predict", "explain", "batch"]
        )
    if arguments.litserve:
        port = free_port()
        graph = str(find_released() / "model.onnx")
        command = [arguments.litserve, str(PEERS / "litserve_service.py"), str(port), graph]
        pictures = {name: film for name, film in films.items() if "DICOM" not in name}
        with running(command, port):
            time.sleep(3)
            services["litserve"] = measure(
                port, pictures, key=None, seconds=arguments.seconds, kinds=["predict"]
            )
    services["engine"] = measure_engine(films, arguments.seconds)
    record = {
        "command": "python benchmarks/serving.py --litserve PYTHON",
        "commit": current_commit(),
        "cores": os.cpu_count(),
        "seconds": arguments.seconds,
        "services": services,
        "ratios": ratios(services),
    }
    MEASURED.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    for line in record["ratios"]:
        print(line)


def ratios(services: dict[str, list[dict]]) -> list[dict]:
    """Return requests a second against each peer, and what explaining costs beside predicting."""
    rate = {
        (name, row["kind"], row["film"], row["clients"]): row
        for name, rows in services.items()
        for row in rows
    }
    lines = []
    for (name, kind, film, clients), row in rate.items():
        ours = rate.get(("hilum", kind, film, clients))
        if name in {"plain", "litserve"} and ours:
            what, ratio = f"requests/s, hilum to {name}", ours["per_second"] / row["per_second"]
            lines.append({"what": what, "kind": kind, "film": film, "clients": clients, "ratio": ratio})
        predict = rate.get((name, "predict", film, clients))
        if name in {"hilum", "engine"} and kind == "explain" and predict:
            what, ratio = f"{name}: explain to predict, p50", row["p50_ms"] / predict["p50_ms"]
            lines.append({"what": what, "kind": kind, "film": film, "clients": clients, "ratio": ratio})
    return lines


if __name__ == "__main__":
    main()
