from pathlib import Path

import pytest

from hilum.domain.errors import InputError
from hilum.journal.feedback import FeedbackStore
from hilum.journal.journal import Journal
from tests.journal.conftest import START, FakeClock


@pytest.fixture
def store(journal: Journal, clock: FakeClock) -> FeedbackStore:
    return FeedbackStore(journal.storage, clock=clock)


def test_a_misdiagnosis_waits_for_review_and_counts_once(store: FeedbackStore):
    first, is_new = store.add("request-1", "misdiagnosis", "Tuberculosis", "clinician", "key-1")
    again = store.add("request-1", "misdiagnosis", "Tuberculosis", "clinician", "key-1")
    assert (is_new, again) == (True, (first, False))
    (waiting,) = store.list(unreviewed=True)
    assert (waiting.id, waiting.request_id, waiting.label, waiting.created_at) == (
        first,
        "request-1",
        "Tuberculosis",
        START,
    )
    assert store.count_labelled() == 1
    store.mark_reviewed(first)
    assert store.list(unreviewed=True) == []
    assert store.list()[0].reviewed_at == START


def test_a_confirmed_label_needs_no_review(store: FeedbackStore):
    store.add("request-1", "confirmed", "Normal", "clinician", "key-1")
    assert store.list(unreviewed=True) == []
    assert store.count_labelled() == 1


def test_without_an_idempotency_key_the_same_statement_is_stored_once(store: FeedbackStore):
    assert store.add("request-1", "confirmed", "Normal", "clinician")[1]
    assert not store.add("request-1", "confirmed", "Normal", "clinician")[1]
    assert store.add("request-1", "confirmed", "Normal", "another")[1]


def test_the_same_idempotency_key_of_two_users_is_two_statements(store: FeedbackStore):
    assert store.add("request-1", "confirmed", "Normal", "one", "key")[1]
    assert store.add("request-1", "confirmed", "Normal", "two", "key")[1]
    assert store.count_labelled() == 1


def test_the_newest_label_of_an_answer_holds(store: FeedbackStore, clock: FakeClock):
    store.add("request-1", "confirmed", "Normal", "one")
    clock.advance(seconds=1)
    store.add("request-1", "misdiagnosis", "Pneumonia", "two")
    assert store.labels() == {"request-1": "Pneumonia"}


def test_an_idempotency_key_used_for_something_else_is_refused(store: FeedbackStore):
    store.add("request-1", "confirmed", "Normal", "clinician", "key")
    with pytest.raises(InputError, match="used for another statement"):
        store.add("request-2", "confirmed", "Normal", "clinician", "key")


@pytest.mark.parametrize(("kind", "label"), [("praise", "Normal"), ("confirmed", "Covid")])
def test_unknown_kinds_and_labels_are_refused_without_an_echo(store: FeedbackStore, kind: str, label: str):
    with pytest.raises(
        InputError, match="kind is one of misdiagnosis, confirmed; label one of Normal"
    ) as caught:
        store.add("request-1", kind, label, "clinician")
    assert "Covid" not in str(caught.value)


@pytest.mark.parametrize("request_id", ["a\nb", "x" * 129])
def test_a_request_id_that_is_none_of_ours_is_refused(store: FeedbackStore, request_id: str):
    with pytest.raises(InputError, match="request id"):
        store.add(request_id, "confirmed", "Normal", "clinician")


def test_a_callers_idempotency_key_is_kept_as_a_hash_alone(store: FeedbackStore, tmp_path: Path):
    store.add("request-1", "confirmed", "Normal", "clinician", "MRN12345 Jane Doe")
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"request-1" in written
    assert b"MRN12345" not in written


def test_reviewing_an_unknown_statement_is_refused(store: FeedbackStore):
    with pytest.raises(InputError, match="no statement of this id"):
        store.mark_reviewed("nothing")


def test_a_review_overrides_the_report_and_counts_no_second_time(store: FeedbackStore, clock: FakeClock):
    first, _ = store.add("request-1", "misdiagnosis", "Tuberculosis", "one")
    store.add("request-1", "misdiagnosis", "Pneumonia", "two")
    other, _ = store.add("request-2", "misdiagnosis", "Pneumonia", "two")
    assert store.count_waiting() == 3
    clock.advance(hours=1)
    label = store.review(first, "Normal", "three")
    assert store.labels() == {"request-1": "Normal", "request-2": "Pneumonia"}
    assert store.count_labelled() == 2
    assert [one.id for one in store.list(unreviewed=True)] == [other]  # both reports of the answer are done
    found = store.find(label)
    assert found is not None
    assert (found.kind, found.label, found.user_id) == ("reviewed", "Normal", "three")
    assert found.created_at == found.reviewed_at == clock.now
    with pytest.raises(InputError, match="no report of this id waits"):
        store.review(first, "Pneumonia", "four")
    assert store.labels()["request-1"] == "Normal"


def test_the_label_of_a_review_holds_on_a_clock_that_was_set_back(store: FeedbackStore, clock: FakeClock):
    report, _ = store.add("request-1", "misdiagnosis", "Tuberculosis", "one")
    clock.advance(hours=-3)
    store.review(report, "Normal", "two")
    assert store.labels() == {"request-1": "Normal"}


def test_only_a_report_that_waits_is_reviewed_and_only_as_a_class(store: FeedbackStore):
    confirmed, _ = store.add("request-1", "confirmed", "Normal", "one")
    report, _ = store.add("request-1", "misdiagnosis", "Pneumonia", "one")
    with pytest.raises(InputError, match="no report of this id waits"):
        store.review(confirmed, "Normal", "two")
    with pytest.raises(InputError, match="no report of this id waits"):
        store.review("nothing", "Normal", "two")
    with pytest.raises(InputError, match="the label is one of"):
        store.review(report, "Measles", "two")
    assert store.count_waiting() == 1
    assert store.find("nothing") is None
    with pytest.raises(InputError, match="kind is one of misdiagnosis, confirmed"):
        store.add("request-1", "reviewed", "Normal", "two")
