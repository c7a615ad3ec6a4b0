import pytest

from hilum.journal.record import KINDS, Event
from tests.journal.conftest import make_event


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_can_be_recorded(kind: str):
    assert make_event(kind=kind).kind == kind


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "other"}, "kind 'other' is unknown"),
        ({"endpoint": "/predict\nGET /"}, "endpoint is longer than 128 characters or not printable"),
        ({"user_id": "x" * 129}, "user_id is longer"),
        ({"code": "a\x00"}, "code is longer"),
        ({"request_id": "\ud800"}, "request_id is longer"),
        ({"confidence": float("nan")}, "confidence is nan"),
        ({"inference_time_ms": float("inf")}, "inference_time_ms is inf"),
        ({"ip_address": "192.168.1.7"}, "ip_address is not anonymised"),
        ({"ip_address": "2001:db8:1:2::1"}, "ip_address is not anonymised"),
        ({"facts": {"mean": [1.0]}}, "fact mean is a list"),
        ({"facts": {"a\n": 1}}, "the name of a fact is longer"),
        ({"facts": {"text": "x" * 200}}, "fact text is longer"),
        ({"facts": {f"f{n}": n for n in range(129)}}, "129 facts; at most 128"),
    ],
)
def test_what_has_no_place_in_a_record_is_refused(changes: dict[str, object], message: str):
    with pytest.raises(ValueError, match=message):
        make_event(**changes)


@pytest.mark.parametrize(
    "address", ["192.168.1.0", "192.168.1.x", "192.168.1.0/24", "2001:db8:1::", "2001:db8:1::/48"]
)
def test_masked_addresses_are_taken(address: str):
    assert make_event(ip_address=address).ip_address == address


def test_facts_are_a_copy():
    facts = {"mean": 1.0}
    event = Event("predict", "r", "/predict", None, None, 200, facts=facts)
    facts["mean"] = 2.0
    assert event.facts == {"mean": 1.0}
