import subprocess
import sys

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
