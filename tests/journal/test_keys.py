from datetime import timedelta
from pathlib import Path

import pytest

from hilum.domain.errors import ConfigError, InputError, JournalUnavailable
from hilum.journal.keys import ROLES, KeyStore
from hilum.journal.storage import Storage
from tests.journal.conftest import PEPPER, START, FakeClock

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


@pytest.fixture
def storage(url: str):
    opened = Storage.open(url)
    yield opened
    opened.close()


@pytest.fixture
def keys(storage: Storage, clock: FakeClock) -> KeyStore:
    return KeyStore(storage, pepper=PEPPER, clock=clock)


@pytest.mark.parametrize("role", ROLES)
def test_a_key_opens_with_its_role(keys: KeyStore, role: str):
    key, plaintext = keys.create("ward 3", role, START + DAY)
    check = keys.check(plaintext)
    assert check.refusal is None
    assert check.key == key == keys.find(key.id)
    assert (key.role, key.label, key.expires_at) == (role, "ward 3", START + DAY)
    assert plaintext.startswith(f"hilum_{key.id}.")


def test_no_two_keys_are_alike_and_the_secret_has_256_bits(keys: KeyStore):
    made = [keys.create("x", "clinician", START + DAY) for _ in range(20)]
    assert len({key.id for key, _ in made}) == 20
    assert len({plaintext.split(".")[1] for _, plaintext in made}) == 20
    assert {len(plaintext.split(".")[1]) for _, plaintext in made} == {43}  # 32 bytes in base64


def test_the_plaintext_is_in_no_file(keys: KeyStore, storage: Storage, tmp_path: Path):
    secrets = [keys.create("lab", "admin", START + DAY)[1].split(".")[1] for _ in range(5)]
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"lab" in written
    for secret in secrets:
        assert secret.encode() not in written
        assert secret[:12].encode() not in written


@pytest.mark.parametrize(
    "presented",
    [
        "",
        "hilum_",
        "x",
        "hilum_0123456789abcdef.",
        "Bearer hilum_0123456789abcdef." + "a" * 43,
        "kéy",
        "\x00",
        "a" * 100_000,
    ]
    + [
        "hilum_0123456789ABCDEF." + "a" * 43,
        "hilum_0123456789abcdef." + "a" * 42 + "é",
        "hilum_" + "٣" * 16 + "." + "a" * 43,
    ]
    + ["hilum_0123456789abcdef." + "a" * 43 + "\n"],
)
def test_what_is_no_key_is_malformed_and_no_error(keys: KeyStore, presented: str):
    assert keys.check(presented).refusal == "malformed"


def test_a_guess_is_refused_whatever_it_shares_with_the_key(keys: KeyStore):
    key, plaintext = keys.create("lab", "admin", START + DAY)
    other, _ = keys.create("lab", "admin", START + DAY)
    secret = plaintext.split(".")[1]
    for kept in range(0, 43):
        wrong = "B" if secret[kept] == "A" else "A"
        guess = keys.check(f"hilum_{key.id}.{secret[:kept]}{wrong}{secret[kept + 1 :]}")
        assert (guess.key, guess.refusal) == (None, "wrong-secret")
    assert keys.check(f"hilum_{other.id}.{secret}").refusal == "wrong-secret"
    assert keys.check(f"hilum_{'0' * 16}.{secret}").refusal == "unknown"


def test_another_pepper_opens_nothing(keys: KeyStore, storage: Storage, clock: FakeClock):
    _, plaintext = keys.create("lab", "admin", START + DAY)
    stolen = KeyStore(storage, pepper=b"x" * 32, clock=clock)
    assert stolen.check(plaintext).refusal == "wrong-secret"


def test_whoever_writes_into_the_database_makes_no_admin_of_a_clinician(keys: KeyStore, storage: Storage):
    _, plaintext = keys.create("lab", "clinician", START + DAY)
    with storage.write() as connection:
        connection.exec_driver_sql("UPDATE api_keys SET role = 'admin'")
    assert keys.check(plaintext).refusal == "wrong-secret"


def test_a_key_ends_at_its_expiry_to_the_second(keys: KeyStore, clock: FakeClock):
    key, plaintext = keys.create("lab", "admin", START + DAY)
    clock.now = START + DAY - SECOND
    assert keys.check(plaintext).refusal is None
    clock.now = START + DAY
    assert keys.check(plaintext).refusal == "expired"
    assert keys.check(plaintext).key == key


def test_a_revoked_key_is_dead_in_every_process_at_once(keys: KeyStore, url: str, clock: FakeClock):
    key, plaintext = keys.create("lab", "admin", START + DAY)
    elsewhere = Storage.open(url)
    others = KeyStore(elsewhere, pepper=PEPPER, clock=clock)
    assert others.check(plaintext).refusal is None
    assert keys.revoke(key.id).revoked_at == START
    assert others.check(plaintext).refusal == "revoked"
    clock.advance(seconds=5)
    assert keys.revoke(key.id).revoked_at == START  # a second time changes nothing
    elsewhere.close()


def test_both_keys_open_during_the_overlap_of_a_rotation(keys: KeyStore, clock: FakeClock):
    key, old = keys.create("lab", "clinician", START + 30 * DAY)
    successor, new = keys.rotate(key.id, timedelta(hours=1))
    assert (successor.role, successor.label, successor.expires_at) == ("clinician", "lab", START + 30 * DAY)
    clock.advance(minutes=59, seconds=59)
    assert [keys.check(each).refusal for each in (old, new)] == [None, None]
    clock.advance(seconds=1)
    assert [keys.check(each).refusal for each in (old, new)] == ["expired", None]
    assert keys.find(key.id).successor == successor.id
    with pytest.raises(InputError, match="revoked, expired or rotated already"):
        keys.rotate(key.id, timedelta(0))


def test_a_rotation_never_prolongs_the_old_key(keys: KeyStore):
    key, _ = keys.create("lab", "clinician", START + DAY)
    keys.rotate(key.id, 10 * DAY, expires_at=START + 5 * DAY)
    assert sorted(each.expires_at for each in keys.list()) == [START + DAY, START + 5 * DAY]


@pytest.mark.parametrize(
    ("label", "role", "days", "message"),
    [
        ("", "admin", 1, "1 to 128 printable"),
        ("a\nb", "admin", 1, "1 to 128 printable"),
        ("x" * 129, "admin", 1, "1 to 128 printable"),
        ("lab", "root", 1, "admin, clinician, auditor"),
        ("lab", "admin", 0, "expired already"),
    ],
)
def test_a_key_that_makes_no_sense_is_refused(keys: KeyStore, label: str, role: str, days: int, message: str):
    with pytest.raises(InputError, match=message):
        keys.create(label, role, START + days * DAY)


def test_unknown_ids_are_said(keys: KeyStore):
    assert keys.find("0" * 16) is None
    with pytest.raises(InputError, match="no key of this id"):
        keys.revoke("0" * 16)
    with pytest.raises(InputError, match="no key of this id"):
        keys.rotate("0" * 16, DAY)


def test_a_store_that_cannot_be_read_lets_nobody_in(keys: KeyStore, tmp_path: Path):
    _, plaintext = keys.create("lab", "admin", START + DAY)
    (tmp_path / "journal.db").rename(tmp_path / "away")
    with pytest.raises(JournalUnavailable):
        keys.check(plaintext)


def test_a_short_pepper_is_refused(storage: Storage):
    with pytest.raises(ConfigError, match="the pepper has 3 bytes"):
        KeyStore(storage, pepper=b"abc")
