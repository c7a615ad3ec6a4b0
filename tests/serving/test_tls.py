import os
import ssl
from pathlib import Path

import pytest

from hilum.domain.errors import ConfigError
from hilum.serving.settings import ServiceSettings, read_settings
from hilum.serving.tls import LiveCertificate, make_context
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


def renew(settings: ServiceSettings, folder: Path, *, days: int) -> None:
    """Put a new pair in the place of the one in use."""
    certificate, key = write_certificate(folder, days=days)
    os.replace(key, settings.tls_key)
    os.replace(certificate, settings.tls_cert)


def test_a_certificate_in_use_is_followed_and_a_bad_one_is_not(tmp_path: Path):
    certificate, key = write_certificate(tmp_path, days=2)
    settings = read_settings(tls_cert=certificate, tls_key=key)
    context, live = make_context(settings), LiveCertificate(settings)
    assert live.seconds_left() == pytest.approx(2 * 86_400, abs=60)
    assert not live.look(context)
    renew(settings, tmp_path / "expired", days=-1)
    with pytest.raises(ConfigError, match="is valid from"):
        live.look(context)
    assert live.seconds_left() == pytest.approx(2 * 86_400, abs=60)  # of the one in use, not of the file
    assert not live.look(context)  # told once
    renew(settings, tmp_path / "new", days=9)
    assert live.look(context)
    assert live.seconds_left() == pytest.approx(9 * 86_400, abs=60)


def test_a_pair_that_arrives_one_file_after_the_other_is_taken_with_the_second(tmp_path: Path):
    certificate, key = write_certificate(tmp_path, days=2)
    settings = read_settings(tls_cert=certificate, tls_key=key)
    context, live = make_context(settings), LiveCertificate(settings)
    new, new_key = write_certificate(tmp_path / "new", days=9)
    os.replace(new, certificate)
    with pytest.raises(ConfigError, match="cannot be used"):
        live.look(context)
    os.replace(new_key, key)
    assert live.look(context)
    certificate.unlink()
    with pytest.raises(ConfigError, match="does not exist"):
        live.look(context)
    key.chmod(0o644)
    renew(settings, tmp_path / "newer", days=20)
    key.chmod(0o644)
    with pytest.raises(ConfigError, match="others may read or change"):
        live.look(context)
    assert live.seconds_left() == pytest.approx(9 * 86_400, abs=60)
