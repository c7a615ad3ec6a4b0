import ipaddress

import pytest

from hilum.serving.network import anonymise, find_client, parse_address
from tests.serving.conftest import Start

TRUSTED = tuple(ipaddress.ip_network(text) for text in ("10.0.0.0/24", "127.0.0.1/32", "2001:db8::/64"))


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        (" 192.0.2.1 ", "192.0.2.1"),
        ("192.0.2.1:8080", "192.0.2.1"),
        ("[2001:db8::1]:8080", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("", None),
        ("unknown", None),
        ("192.0.2.1.", None),
        ("192.0.2", None),
        ("0x7f000001", None),
        ("010.0.0.1", None),
    ],
)
def test_addresses_are_read_with_and_without_ports(text: str, address: str | None):
    found = parse_address(text)
    assert (str(found) if found else None) == address


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("192.0.2.1", [], "192.0.2.1"),
        ("192.0.2.1", [b"10.1.2.3"], "192.0.2.1"),  # no proxy of ours: what it says means nothing
        ("192.0.2.1", [b"127.0.0.1, 10.0.0.1"], "192.0.2.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", [b"198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", [b"10.9.9.9, 198.51.100.7"], "198.51.100.7"),  # never the leftmost
        ("10.0.0.1", [b"127.0.0.1, 198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", [b"198.51.100.7, 10.0.0.2"], "198.51.100.7"),
        ("10.0.0.1", [b"1.1.1.1, 198.51.100.7, 10.0.0.2"], "198.51.100.7"),
        ("10.0.0.1", [b"10.9.9.9", b"198.51.100.7"], "198.51.100.7"),  # two headers are one list
        ("10.0.0.1", [b"198.51.100.7:4711"], "198.51.100.7"),
        ("10.0.0.1", [b"::ffff:198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", [b"[2001:db9::1]:443"], "2001:db9::1"),
        ("10.0.0.1", [b"junk"], None),
        ("10.0.0.1", [b"junk, 198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", [b"198.51.100.7, junk"], None),
        ("10.0.0.1", [b""], None),
        ("10.0.0.1", [b"198.51.100.7,"], None),
        ("10.0.0.1", [b"127.0.0.1"], "127.0.0.1"),
        ("10.0.0.1", [b", ".join([b"10.0.0.3"] * 10_000)], "10.0.0.3"),
        ("10.0.0.1", [b"6.6.6.6, " + b", ".join([b"10.0.0.3"] * 10_000)], "10.0.0.3"),
        ("2001:db8::5", [b"198.51.100.7"], "198.51.100.7"),
        ("::ffff:10.0.0.1", [b"198.51.100.7"], "198.51.100.7"),
        ("", [], None),
    ],
)
def test_the_client_is_the_last_hop_that_no_trusted_proxy_vouches_past(
    peer: str, forwarded: list[bytes], client: str | None
):
    found = find_client(peer, forwarded, TRUSTED)
    assert (str(found) if found else None) == client


def test_addresses_are_kept_without_their_host():
    assert anonymise(ipaddress.ip_address("192.0.2.77")) == "192.0.2.0/24"
    assert anonymise(ipaddress.ip_address("2001:db8:1:2::3")) == "2001:db8:1::/48"


SPOOFS = (
    {},
    {"X-Forwarded-For": "192.0.2.5"},
    {"X-Forwarded-For": "192.0.2.5, 127.0.0.1"},
    {"Forwarded": "for=192.0.2.5"},
    {"X-Real-IP": "192.0.2.5"},
    {"X-Client-IP": "192.0.2.5"},
    {"True-Client-IP": "192.0.2.5"},
)


@pytest.mark.parametrize("headers", SPOOFS)
def test_nobody_outside_the_allowlist_gets_in_by_saying_so(start: Start, headers: dict[str, str]):
    running = start(allow="192.0.2.0/24")
    for path in ("/", "/health/live", "/whoami"):
        answer = running.get(path, "admin", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "network_refused")
    (record,) = running.records("denied")
    assert (record.code, record.ip_address, record.user_id) == ("network_refused", "127.0.0.0/24", None)


def test_behind_a_trusted_proxy_the_allowlist_is_for_those_before_it(start: Start):
    running = start(allow="192.0.2.0/24", trusted_proxies="127.0.0.1/32")
    inside = {"X-Forwarded-For": "192.0.2.5"}
    assert running.get("/whoami", "clinician", headers=inside).status_code == 200
    assert running.predict(headers=inside).status_code == 200
    for header in ("198.51.100.7", "192.0.2.5, 198.51.100.7", "junk", ""):
        assert running.get("/health", headers={"X-Forwarded-For": header}).status_code == 403
    assert running.get("/health").status_code == 403
    (record,) = running.records("predict")
    assert record.ip_address == "192.0.2.0/24"


def test_no_origin_is_allowed_unless_it_is_named(start: Start):
    plain = start()
    preflight = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    assert "access-control-allow-origin" not in plain.get("/health", headers=preflight).headers
    assert plain.client.options("/predict", headers=preflight).status_code == 405


def test_a_named_origin_may_ask_and_others_may_not(start: Start):
    running = start(cors_origins="https://ris.example")
    preflight = {"Origin": "https://ris.example", "Access-Control-Request-Method": "POST"}
    allowed = running.client.options("/predict", headers=preflight)
    assert allowed.headers["access-control-allow-origin"] == "https://ris.example"
    other = running.get("/health", headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in other.headers
    refused = running.predict(role=None, headers={"Origin": "https://ris.example"})
    assert refused.status_code == 401
    assert refused.headers["access-control-allow-origin"] == "https://ris.example"
