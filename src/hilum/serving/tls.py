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


class LiveCertificate:
    """The certificate that new connections are shown, taken anew when its files change.

    Parameters
    ----------
    settings
        Of a service that has a certificate, in use already.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        self._settings = settings
        self._seen = self._stamp()
        self._ends = self._end()

    def seconds_left(self) -> float:
        """Return how long the certificate in use is still valid; negative once it is not."""
        return (self._ends - datetime.now(UTC)).total_seconds()

    def look(self, context: ssl.SSLContext) -> bool:
        """Give a live context the certificate and key of the files, if either changed and they are good.

        A pair that is not good, or not complete yet, is left alone until one of its files changes again.

        Returns
        -------
        Whether the context has a new certificate.

        Raises
        ------
        ConfigError
            The new pair cannot be used; the old one is in use.
        """
        stamp = self._stamp()
        if stamp == self._seen:
            return False
        self._seen = stamp
        settings = self._settings
        settings.check_files("tls_cert", "tls_key", "tls_client_ca")
        make_context(settings)  # the new pair must fit before the live context takes it
        try:
            context.load_cert_chain(str(settings.tls_cert), settings.tls_key)
        except (ssl.SSLError, OSError) as error:  # changed once more in this moment
            self._seen = ()
            raise ConfigError(f"tls: the new certificate cannot be used ({type(error).__name__})") from None
        self._ends = self._end()
        return True

    def _stamp(self) -> tuple[tuple[int, int, int] | None, ...]:
        return tuple(_stamp(path) for path in (self._settings.tls_cert, self._settings.tls_key))

    def _end(self) -> datetime:
        assert self._settings.tls_cert is not None
        return _read(self._settings.tls_cert).not_valid_after_utc


def _stamp(path: Path | None) -> tuple[int, int, int] | None:
    try:
        found = path.stat() if path is not None else None
    except OSError:  # between the removal of the old one and the arrival of the new one
        return None
    return None if found is None else (found.st_ino, found.st_mtime_ns, found.st_size)


def _read(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError):
        raise ConfigError(f"tls_cert: {path} is no certificate in PEM") from None
