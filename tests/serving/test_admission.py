import pytest

from hilum.serving.admission import Admission
from hilum.serving.refusals import Unavailable


def test_places_are_given_back_whatever_happens():
    admission = Admission(films=2, uploads=2, upload_bytes=100)
    with pytest.raises(RuntimeError), admission.upload(60), admission.work():
        raise RuntimeError
    assert (admission.films, admission.uploads, admission.upload_bytes) == (0, 0, 0)


def test_bodies_are_bounded_in_number_and_bytes():
    admission = Admission(films=2, uploads=2, upload_bytes=100)
    with admission.upload(60):
        with pytest.raises(Unavailable), admission.upload(41):
            pass
        with admission.upload(40), pytest.raises(Unavailable), admission.upload(0):
            pass
    with admission.upload(100):
        assert admission.uploads == 1


def test_films_are_bounded_and_the_wait_told_is_a_few_seconds():
    admission = Admission(films=2)
    with admission.work(2):
        for _ in range(50):
            with pytest.raises(Unavailable) as refusal, admission.work():
                pass
            assert refusal.value.code == "overload"
            assert 1 <= (refusal.value.retry_after_s or 0) <= 10
        with pytest.raises(Unavailable), admission.upload(1):
            pass
    with admission.work():
        assert admission.films == 1


def test_one_caller_leaves_places_for_others():
    admission = Admission(films=4, films_of_one=2)
    with admission.work(2, caller="greedy"):
        with pytest.raises(Unavailable), admission.work(caller="greedy"):
            pass
        with pytest.raises(Unavailable), admission.upload(1, caller="greedy"):
            pass
        with admission.upload(1, caller="modest"), admission.work(caller="modest"):
            assert admission.films == 3
    with admission.work(caller="greedy"):
        assert admission.films == 1
    assert admission._of == {}


def test_a_caller_whose_bodies_stall_leaves_places_for_others():
    admission = Admission(uploads=3, uploads_of_one=2, upload_bytes=100, upload_bytes_of_one=70)
    with admission.upload(30, caller="stalled"):
        with pytest.raises(Unavailable), admission.upload(41, caller="stalled"):
            pass
        with admission.upload(40, caller="stalled"):
            with pytest.raises(Unavailable), admission.upload(0, caller="stalled"):
                pass
            with admission.upload(30, caller="prompt"):
                assert (admission.uploads, admission.upload_bytes) == (3, 100)
    with admission.upload(70, caller="stalled"):
        assert admission.uploads == 1
    assert admission._uploads_of == admission._bytes_of == {}
