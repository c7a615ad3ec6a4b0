"""Commands of the service: serve, and keys create | list | revoke | rotate."""

import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from hilum.journal.keys import ApiKey, KeyStore
    from hilum.serving.settings import ServiceSettings

_DEMO_DAYS = 1
_KEY_DAYS = 90
Data = Annotated[
    Path | None, typer.Option(help="Folder of the journal and the secrets; HILUM_DATA, or data.")
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]


def serve(
    registry: Annotated[
        Path | None, typer.Option(help="Registry whose production version is served.")
    ] = None,
    model: Annotated[Path | None, typer.Option(help="One bundle; the shipped one by default.")] = None,
    site: Annotated[Path | None, typer.Option(help="Site profile made by hilum commission.")] = None,
    host: Annotated[str | None, typer.Option(help="Address; off loopback only with TLS.")] = None,
    port: Annotated[int | None, typer.Option(help="0 takes a free one.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes; more than one needs a limiter URL.")] = None,
    data: Data = None,
    tls_cert: Annotated[Path | None, typer.Option(help="Certificate chain, PEM.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its key, PEM, readable by the owner alone.")] = None,
    demo: Annotated[bool, typer.Option("--demo", help="Throw-away data, and a key for each role.")] = False,
    show_settings: Annotated[bool, typer.Option("--show-settings", help="Print them and end.")] = False,
) -> None:
    """Answer over HTTP; further settings come from the environment, prefix HILUM_."""
    from hilum.serving.memory import check_address_space

    check_address_space()  # before anything is loaded
    from hilum.serving.server import run
    from hilum.serving.settings import read_settings

    given = {
        "registry": registry, "model": model, "site": site, "host": host, "port": port, "workers": workers,
        "data": data, "tls_cert": tls_cert, "tls_key": tls_key,
    }  # fmt: skip
    if show_settings:
        print(read_settings(**given).model_dump_json(indent=1))
        return
    if not demo:
        run(read_settings(**given))
        return
    with _demo_folder(data) as folder:
        settings = read_settings(**{**given, "data": folder})
        _print_demo_keys(settings)
        run(settings)


@contextmanager
def _demo_folder(given: Path | None) -> Iterator[Path]:
    if given is not None:
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="hilum-demo-") as folder:
        yield Path(folder)


def _print_demo_keys(settings: "ServiceSettings") -> None:
    until = datetime.now(UTC) + timedelta(days=_DEMO_DAYS)
    with _key_store(settings) as keys:
        for role in ("clinician", "auditor", "admin"):
            _, plaintext = keys.create(f"demo {role}", role, until)
            print(f"{role} {plaintext}", flush=True)


@contextmanager
def _key_store(settings: "ServiceSettings") -> "Iterator[KeyStore]":
    from hilum.journal.keys import KeyStore
    from hilum.journal.storage import Storage
    from hilum.serving.secret_files import load_secrets

    settings.data.mkdir(parents=True, exist_ok=True)
    secrets = load_secrets(settings)
    storage = Storage.open(settings.database_url)
    try:
        yield KeyStore(storage, pepper=secrets.pepper)
    finally:
        storage.close()


keys = typer.Typer(help="API keys of the service.", no_args_is_help=True)


@keys.command()
def create(
    role: Annotated[str, typer.Option(help="admin, clinician or auditor.")],
    label: Annotated[str, typer.Option(help="Whose it is; no patient's name.")],
    days: Annotated[int, typer.Option(min=1, max=366, help="Days until it expires.")] = _KEY_DAYS,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and print it; it is shown this once."""
    from hilum.journal.keys import ROLES
    from hilum.serving.settings import read_settings

    known = next((name for name in ROLES if name == role), None)
    if known is None:
        raise typer.BadParameter(f"the role is one of {', '.join(ROLES)}")
    with _key_store(read_settings(data=data)) as store:
        key, plaintext = store.create(label, known, datetime.now(UTC) + timedelta(days=days))
    _print_new(key, plaintext, as_json=as_json)


@keys.command("list")
def list_(data: Data = None, as_json: AsJson = False) -> None:
    """Print every key there ever was, without secrets."""
    from hilum.serving.settings import read_settings

    with _key_store(read_settings(data=data)) as store:
        found = store.list()
    if as_json:
        print(json.dumps([_to_record(key) for key in found], indent=1, allow_nan=False))
        return
    for key in found:
        state = "revoked" if key.revoked_at else "expired" if key.expires_at <= datetime.now(UTC) else "good"
        print(f"{key.id}  {key.role:9}  {state:7}  until {key.expires_at:%Y-%m-%d %H:%M}Z  {key.label}")


@keys.command()
def revoke(key_id: str, data: Data = None) -> None:
    """End a key now, in every running worker."""
    from hilum.serving.settings import read_settings

    with _key_store(read_settings(data=data)) as store:
        key = store.revoke(key_id)
    print(f"{key.id} is revoked")


@keys.command()
def rotate(
    key_id: str,
    overlap_hours: Annotated[float, typer.Option(min=0, help="Hours that the old key works on.")] = 24.0,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Make a successor of a key and print it; the old one works on for a while."""
    from hilum.serving.settings import read_settings

    with _key_store(read_settings(data=data)) as store:
        key, plaintext = store.rotate(key_id, timedelta(hours=overlap_hours))
    _print_new(key, plaintext, as_json=as_json)


def _print_new(key: "ApiKey", plaintext: str, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({**_to_record(key), "key": plaintext}, allow_nan=False))
        return
    print(plaintext)
    print(
        f"hilum: key {key.id}, {key.role}, good until {key.expires_at:%Y-%m-%d}; shown once", file=sys.stderr
    )


def _to_record(key: "ApiKey") -> dict[str, str | None]:
    return {
        "id": key.id,
        "label": key.label,
        "role": key.role,
        "created_at": key.created_at.isoformat(),
        "expires_at": key.expires_at.isoformat(),
        "revoked_at": key.revoked_at.isoformat() if key.revoked_at else None,
    }


COMMANDS = (serve,)
GROUPS = {"keys": keys}
