"""The settings of the service, from the environment (prefix HILUM_) and the command line; nothing else.

Frozen, unknown names refused where they are given in code, and refused as a whole when they would expose the
service: off loopback without TLS, a proxy that anyone may be, secrets that anyone may read. Secrets are files
or masked values: neither `repr` nor `hilum serve --show-settings` tells them.
"""

import ipaddress
import stat
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from hilum.domain.errors import ConfigError
from hilum.domain.scenario import Scenario
from hilum.domain.thresholds import (
    AUTH_FAILURES_PER_WINDOW,
    DRAIN_S,
    IMAGES_PER_WINDOW,
    MONITOR_PERIOD_S,
    REQUESTS_PER_WINDOW,
)

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Networks = Annotated[tuple[Network, ...], NoDecode]
Words = Annotated[tuple[str, ...], NoDecode]
ENVIRONMENT_PREFIX = "HILUM_"
_ANYONE_READS = stat.S_IROTH | stat.S_IWOTH
_SECRET_FILES = ("tls_key", "pepper_file", "chain_key_file")
_OTHER_FILES = ("tls_cert", "tls_client_ca", "public_key", "site", "registry", "model")


class ServiceSettings(BaseSettings):
    """What `hilum serve` is told. Lists are separated by commas."""

    model_config = SettingsConfigDict(
        env_prefix=ENVIRONMENT_PREFIX,
        frozen=True,
        extra="forbid",
        validate_default=True,
        env_ignore_empty=True,
    )

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    metrics_port: Annotated[int, Field(ge=0, le=65535)] | None = None
    """Port on 127.0.0.1 that tells /metrics to anyone on the machine; none by default."""

    data: Path = Path("data")
    """Folder of the journal and the secrets, the only one that is written to."""
    journal_url: SecretStr | None = None
    """SQLAlchemy URL; a SQLite file in `data` by default."""
    checkpoints: Path | None = None
    """Folder, best on another disk, for the journal's checkpoints."""
    pepper_file: Path | None = None
    """32 bytes or more that API keys are hashed with; made in `data` when absent."""
    chain_key_file: Path | None = None
    """32 bytes or more that the journal is chained with; made in `data` when absent."""

    registry: Path | None = None
    """Folder of bundles whose alias `production` is served and followed."""
    model: Path | None = None
    """One bundle to serve; the shipped one if neither is given."""
    site: Path | None = None
    """Profile made by `hilum commission`."""
    scenario: Scenario | None = None
    """Thresholds in force (report Table 15); the site's own, or screening, if not given."""
    public_key: Path | None = None
    """Ed25519 key that bundles must be signed with."""

    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None
    """Certificates of clients are asked for and must be signed by this."""

    allow: Networks = ()
    """Networks that may ask; everyone if empty."""
    trusted_proxies: Networks = ()
    """Networks whose X-Forwarded-For is believed, from the right."""
    cors_origins: Words = ()
    cors_credentials: bool = False

    requests_per_minute: Annotated[int, Field(ge=1)] = REQUESTS_PER_WINDOW
    images_per_minute: Annotated[int, Field(ge=1)] = IMAGES_PER_WINDOW
    failed_logins_per_minute: Annotated[int, Field(ge=1)] = AUTH_FAILURES_PER_WINDOW
    """Of one address, before it is told to wait."""
    limiter_url: SecretStr = SecretStr("memory://")
    """memory:// counts within one worker; redis://... within all of them."""

    jwks: str | None = None
    """File or https URL of an identity provider's keys; with it bearer tokens are accepted."""
    jwt_issuer: str | None = None
    jwt_audience: str | None = None
    jwt_role_claim: str = "role"

    drain_s: Annotated[float, Field(ge=0, le=300)] = DRAIN_S
    """Seconds for requests in flight after SIGTERM."""
    drain_notice_s: Annotated[float, Field(ge=0, le=60)] = 0.0
    """Seconds between /ready saying no and the port closing, for load balancers that poll."""
    monitor_s: Annotated[float, Field(ge=1, le=3600)] = MONITOR_PERIOD_S
    """Seconds between two looks at the signals of monitoring."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return _words(value) if isinstance(value, str) else value

    @field_validator("allow", "trusted_proxies", mode="before")
    @classmethod
    def _read_networks(cls, value: object) -> object:
        return tuple(_network(word) for word in _words(value)) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        problems = [
            ("tls_cert and tls_key go together", (self.tls_cert is None) != (self.tls_key is None)),
            ("tls_client_ca needs tls_cert and tls_key", self.tls_client_ca and not self.has_tls),
            ("name a registry or a model, not both", self.registry and self.model),
            ("workers > 1 need limiter_url=redis://..., or each would allow the whole limit",
             self.workers > 1 and self.limiter_url.get_secret_value().startswith("memory:")),
            ("cors_credentials with the origin * lets every page act as its visitor; name the origins",
             self.cors_credentials and "*" in self.cors_origins),
            ("jwks needs jwt_issuer and jwt_audience",
             self.jwks and not (self.jwt_issuer and self.jwt_audience)),
            ("jwks must be a file or an https URL", self.jwks and self.jwks.startswith("http:")),
            ("a network of every address is no trusted proxy; name the proxies",
             any(network.prefixlen == 0 for network in self.trusted_proxies)),
            (f"host {self.host} can be reached by others: give tls_cert and tls_key, or bind 127.0.0.1",
             not self.is_loopback and not self.has_tls),
        ]  # fmt: skip
        found = [sentence for sentence, is_wrong in problems if is_wrong]
        if found:
            raise ValueError("; ".join(found))
        return self

    @property
    def has_tls(self) -> bool:
        """Whether connections are encrypted here."""
        return self.tls_cert is not None and self.tls_key is not None

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the port."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def database_url(self) -> str:
        """Where the journal is, with its password if there is one."""
        if self.journal_url is not None:
            return self.journal_url.get_secret_value()
        return f"sqlite:///{self.data / 'journal.sqlite'}"

    def check_files(self, *names: str) -> None:
        """Refuse secrets that others on the machine may read or write, and files that are not there.

        Parameters
        ----------
        names
            Settings to look at; every one that names a file when none is given.

        Raises
        ------
        ConfigError
            One message with every file that is wrong.
        """
        wrong = []
        for name in names or (*_SECRET_FILES, *_OTHER_FILES):
            path: Path | None = getattr(self, name)
            if path is None:
                continue
            if not path.exists():
                wrong.append(f"{name}: {path} does not exist")
            elif name in _SECRET_FILES and path.stat().st_mode & _ANYONE_READS:
                wrong.append(f"{name}: others may read or change {path}; run chmod 600 on it")
        if wrong:
            raise ConfigError("; ".join(wrong))

    def to_environment(self) -> dict[str, str]:
        """Return the settings as the environment of a worker process holds them."""
        values = {}
        for name, value in self:
            if value is None or value == ():
                continue
            if isinstance(value, SecretStr):
                value = value.get_secret_value()  # noqa: PLW2901
            text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
            values[ENVIRONMENT_PREFIX + name.upper()] = text
        return values


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _network(text: str) -> Network:
    if text == "*":
        raise ValueError("* is everyone; name networks such as 10.1.0.0/16")
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise ValueError(f"{error}; name networks such as 10.1.0.0/16") from None


def read_settings(**given: object) -> ServiceSettings:
    """Return the settings of the environment with those given on top; None is not given.

    Raises
    ------
    ConfigError
        Every setting that is wrong, without the values of secrets.
    """
    from pydantic import ValidationError

    try:
        return ServiceSettings(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        lines = [
            f"{'.'.join(map(str, one['loc'])) or 'settings'}: {one['msg'].removeprefix('Value error, ')}"
            for one in error.errors(include_input=False, include_url=False)
        ]
        raise ConfigError("; ".join(lines)) from None
