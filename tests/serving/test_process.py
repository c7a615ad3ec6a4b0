import asyncio
import gc
import subprocess
import sys

import pytest
import uvicorn

from hilum.serving.server import DrainingServer
from hilum.serving.settings import read_settings

FILM_BYTES = 4 * 1024 * 1024
PAGES = FILM_BYTES // 4096
_PROGRAM = f"""
import resource
from hilum.serving.process import keep_freed_memory

def faults_of_a_film():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    film, copy = bytearray({FILM_BYTES}), bytearray({FILM_BYTES})
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

keep_freed_memory()
faults_of_a_film()
print(faults_of_a_film())
"""


def test_a_film_takes_the_memory_of_the_one_before() -> None:
    told = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True).stdout
    assert int(told) < PAGES // 10


def test_the_collector_passes_over_what_was_there_when_the_service_had_started(
    monkeypatch: pytest.MonkeyPatch,
):
    async def nothing(*_: object) -> None:
        return

    monkeypatch.setattr(uvicorn.Server, "startup", nothing)
    server = DrainingServer(uvicorn.Config("none"), read_settings())
    assert gc.get_freeze_count() == 0
    try:
        asyncio.run(server.startup())
        assert gc.get_freeze_count() > len(sys.modules)
    finally:
        gc.unfreeze()
