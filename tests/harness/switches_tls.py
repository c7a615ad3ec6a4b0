"""Group K broken: TLS and certificates."""

import ssl
from datetime import UTC, datetime
from typing import Any

from .switch import Sabotage, nothing, replaced, value

TESTS = "tests/reliability/test_tls.py"


def _careless_renewal(_: Any) -> Any:
    def look(self: Any, context: ssl.SSLContext) -> bool:
        stamp = self._stamp()
        if stamp == self._seen:
            return False
        self._seen = stamp
        context.load_cert_chain(self._settings.tls_cert, self._settings.tls_key)
        return True

    return look


def _left_of_the_file(_: Any) -> Any:
    def seconds_left(self: Any) -> float:
        return float((self._end() - datetime.now(UTC)).total_seconds())

    return seconds_left


def _older_tls(make: Any) -> Any:
    def context(settings: Any) -> ssl.SSLContext:
        made: ssl.SSLContext = make(settings)
        made.minimum_version = ssl.TLSVersion.TLSv1_2
        return made

    return context


def _no_client_check(make: Any) -> Any:
    def context(settings: Any) -> ssl.SSLContext:
        made: ssl.SSLContext = make(settings)
        made.verify_mode = ssl.CERT_NONE
        return made

    return context


TLS = {
    "tls-1.2": Sabotage(
        "K",
        "TLS 1.2 is spoken",
        {"hilum.serving.tls": replaced("make_context", _older_tls)},
        (f"{TESTS}::test_old_versions_of_tls_are_refused",),
    ),
    "any-certificate": Sabotage(
        "K",
        "certificates are not looked at before they are used",
        {"hilum.serving.tls": nothing("check_certificate")},
        (f"{TESTS}::test_a_bad_certificate_is_refused_at_the_start",),
    ),
    "careless-renewal": Sabotage(
        "K",
        "a new certificate is taken without a look",
        {"hilum.serving.tls": replaced("LiveCertificate.look", _careless_renewal)},
        (f"{TESTS}::test_certificates_are_renewed_under_load_and_no_request_fails",),
    ),
    "expiry-of-the-file": Sabotage(
        "K",
        "the metric tells how long the file lasts, in use or not",
        {"hilum.serving.tls": replaced("LiveCertificate.seconds_left", _left_of_the_file)},
        (f"{TESTS}::test_certificates_are_renewed_under_load_and_no_request_fails",),
    ),
    "any-client": Sabotage(
        "K",
        "clients without a certificate are let in where one is asked for",
        {"hilum.serving.tls": replaced("make_context", _no_client_check)},
        (f"{TESTS}::test_a_client_certificate_is_asked_for_when_configured",),
    ),
    "no-hsts": Sabotage(
        "K",
        "browsers are not told to come by TLS again",
        {"hilum.serving.envelope": value("HSTS", (b"x-nothing", b""))},
        (f"{TESTS}::test_a_film_is_answered_over_tls_with_hsts",),
    ),
}
