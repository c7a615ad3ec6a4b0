from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from hilum.domain.thresholds import MAX_BELIEVED_KEYS, SWITCH_POLL_S
from hilum.journal.clock import now_utc
from hilum.journal.keys import KeyStore
from hilum.journal.storage import Storage
from hilum.serving import stored_keys
from hilum.serving.stored_keys import StoredKeys

PEPPER = b"a pepper of thirty-two bytes too"
LATER = timedelta(days=1)


class Monotonic:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def store(tmp_path: Path) -> Iterator[KeyStore]:
    storage = Storage.open(f"sqlite:///{tmp_path}/journal.db")
    yield KeyStore(storage, pepper=PEPPER)
    storage.close()


def test_a_key_is_believed_for_half_a_second_after_it_was_found_good(store: KeyStore):
    clock = Monotonic()
    keys = StoredKeys(store, clock=clock)
    key, plaintext = store.create("ward", "clinician", now_utc() + LATER)
    assert keys.recall(plaintext) is None
    identity = keys.verify(plaintext)
    assert identity is not None
    assert identity.user_id == key.id
    clock.now += SWITCH_POLL_S - 0.001
    assert keys.recall(plaintext) == identity
    clock.now += 0.001
    assert keys.recall(plaintext) is None


def test_a_revoked_key_is_not_found_good_again(store: KeyStore):
    clock = Monotonic()
    keys = StoredKeys(store, clock=clock)
    key, plaintext = store.create("ward", "clinician", now_utc() + LATER)
    keys.verify(plaintext)
    store.revoke(key.id)
    clock.now += SWITCH_POLL_S
    assert keys.recall(plaintext) is None
    assert keys.verify(plaintext) is None
    assert keys.recall(plaintext) is None


def test_a_key_that_expires_meanwhile_is_not_believed(store: KeyStore, monkeypatch: pytest.MonkeyPatch):
    keys = StoredKeys(store, clock=Monotonic())
    expires_at = now_utc() + LATER
    _, plaintext = store.create("ward", "clinician", expires_at)
    keys.verify(plaintext)
    monkeypatch.setattr(stored_keys, "now_utc", lambda: expires_at)
    assert keys.recall(plaintext) is None


def test_neither_a_wrong_key_nor_a_plain_one_is_kept(store: KeyStore):
    keys = StoredKeys(store, clock=Monotonic())
    _, plaintext = store.create("ward", "clinician", now_utc() + LATER)
    assert keys.verify(plaintext[:-1] + ("a" if plaintext[-1] != "a" else "b")) is None
    assert keys._believed == {}
    keys.verify(plaintext)
    assert plaintext.rpartition(".")[2] not in repr(keys._believed)


def test_no_more_keys_are_kept_than_may_be(store: KeyStore):
    keys = StoredKeys(store, clock=Monotonic())
    _, plaintext = store.create("ward", "clinician", now_utc() + LATER)
    keys.verify(plaintext)
    entry = next(iter(keys._believed.values()))
    keys._believed.update({number.to_bytes(8, "big"): entry for number in range(MAX_BELIEVED_KEYS)})
    keys.verify(plaintext)
    assert len(keys._believed) == 1
