import ssl
from pathlib import Path

import pytest

from hilum.domain.errors import ConfigError
from hilum.serving.settings import read_settings
from hilum.serving.tls import certificate_seconds_left, make_context
from tests.serving.conftest import Start
from tests.serving.process import write_certificate


def test_a_context_takes_nothing_older_than_1_3(tmp_path: Path):
    certificate, key = write_certificate(tmp_path)
    context = make_context(read_settings(tls_cert=certificate, tls_key=key))
    assert context.minimum_version is ssl.TLSVersion.TLSv1_3
    assert context.verify_mode is ssl.CERT_NONE


def test_client_certificates_are_asked_for_when_their_authority_is_named(tmp_path: Path):
    certificate, key = write_certificate(tmp_path)
    settings = read_settings(tls_cert=certificate, tls_key=key, tls_client_ca=certificate)
    assert make_context(settings).verify_mode is ssl.CERT_REQUIRED


def test_a_certificate_that_nobody_would_take_is_refused(tmp_path: Path):
    certificate, key = write_certificate(tmp_path)
    old, old_key = write_certificate(tmp_path / "old", days=-1)
    with pytest.raises(ConfigError, match="is valid from"):
        make_context(read_settings(tls_cert=old, tls_key=old_key))
    with pytest.raises(ConfigError, match="cannot be used"):
        make_context(read_settings(tls_cert=certificate, tls_key=old_key))
    with pytest.raises(ConfigError, match="no certificate in PEM"):
        make_context(read_settings(tls_cert=key, tls_key=key))


def test_the_metric_says_how_long_the_certificate_lasts(start: Start, tmp_path: Path):
    certificate, key = write_certificate(tmp_path, days=2)
    assert certificate_seconds_left(certificate) == pytest.approx(2 * 86_400, abs=60)
    running = start(tls_cert=certificate, tls_key=key)
    gauge = running.service.metrics.certificate._value.get()
    assert gauge == pytest.approx(2 * 86_400, abs=60)
