"""TLS 1.3 and nothing older, and certificates that are looked at before they are used."""

import ssl
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

from hilum.domain.errors import ConfigError
from hilum.serving.settings import ServiceSettings


def make_context(settings: ServiceSettings) -> ssl.SSLContext:
    """Return a server's context.

    Raises
    ------
    ConfigError
        The certificate has expired or is not yet valid, or does not go with its key.
    """
    assert settings.tls_cert is not None
    check_certificate(settings.tls_cert)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(settings.tls_cert, settings.tls_key)
        if settings.tls_client_ca is not None:
            context.load_verify_locations(settings.tls_client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except (ssl.SSLError, OSError) as error:
        raise ConfigError(
            f"tls: certificate, key or client CA cannot be used ({type(error).__name__})"
        ) from None
    return context


def check_certificate(path: Path) -> None:
    """Refuse a certificate that no client would take now; raises ConfigError."""
    certificate = _read(path)
    now = datetime.now(UTC)
    if not certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc:
        raise ConfigError(
            f"tls_cert: {path} is valid from {certificate.not_valid_before_utc:%Y-%m-%d} to"
            f" {certificate.not_valid_after_utc:%Y-%m-%d}; give one that is valid now"
        )


def certificate_seconds_left(path: Path) -> float:
    """Return how long a certificate is still valid; negative once it is not."""
    return (_read(path).not_valid_after_utc - datetime.now(UTC)).total_seconds()


def _read(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError):
        raise ConfigError(f"tls_cert: {path} is no certificate in PEM") from None
