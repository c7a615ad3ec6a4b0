"""Commands of the registry: list, show, promote, rollback, verify, prune, keygen, publish."""

import getpass
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from hilum.registry.promotion import PromotionResult

NameArgument = Annotated[str, typer.Argument(help="Bundle, or production.")]
RegistryOption = Annotated[Path, typer.Option("--registry", help="Folder of bundles.")]
KeyOption = Annotated[
    Path | None, typer.Option("--public-key", help="Whose signature every bundle must carry.")
]
ByOption = Annotated[str | None, typer.Option("--by", help="Who; the name of the account if not given.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why, kept in the history.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
REGISTRY = Path("models/registry")


def list_models(
    registry: RegistryOption = REGISTRY, public_key: KeyOption = None, as_json: JsonOption = False
) -> None:
    """List the released models of a registry, the highest version first; * is production."""
    from hilum.registry.store import ModelStore

    models = ModelStore(registry, public_key=public_key).list()
    if as_json:
        print(
            json.dumps(
                [{**asdict(model), "folder": str(model.folder)} for model in models],
                indent=2,
                allow_nan=False,
            )
        )
        return
    for model in models:
        mark = "*" if model.aliases else " "
        print(f"{mark} {model.name}" + ("" if model.ok else f"  NOT USABLE: {model.reason}"))
    if not models:
        print(f"hilum: no models in {registry}", file=sys.stderr)


def show(
    name: NameArgument,
    registry: RegistryOption = REGISTRY,
    public_key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the card of a released model, or its facts as JSON."""
    from hilum.registry.bundle import read_bundle
    from hilum.registry.store import ModelStore

    folder = ModelStore(registry, public_key=public_key).resolve(name)
    if as_json:
        print(json.dumps(read_bundle(folder).facts, indent=1, sort_keys=True, allow_nan=False))
    else:
        print((folder / "card.md").read_text(encoding="utf-8"))


def promote(
    name: Annotated[str, typer.Argument(help="Bundle.")],
    reason: ReasonOption,
    by: ByOption = None,
    override: Annotated[
        str | None, typer.Option(help="Promote although a gate refuses, and why; kept in the history.")
    ] = None,
    sign: Annotated[
        Path | None, typer.Option(help="Private key for the override, where signatures are required.")
    ] = None,
    registry: RegistryOption = REGISTRY,
    public_key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a model production; exit code 1 with every reason when a gate refuses."""
    from hilum.registry.store import ModelStore

    store = ModelStore(registry, public_key=public_key, try_out=try_out)
    result = store.promote(
        name, by=by or getpass.getuser(), reason=reason, override=override, override_key=sign
    )
    print(json.dumps(asdict(result), indent=2, allow_nan=False)) if as_json else _print_promotion(result)
    if not result.promoted:
        raise typer.Exit(1)


def rollback(
    reason: ReasonOption,
    by: ByOption = None,
    registry: RegistryOption = REGISTRY,
    public_key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make the version before the last promotion production again."""
    from hilum.registry.store import ModelStore

    name = ModelStore(registry, public_key=public_key).rollback(by=by or getpass.getuser(), reason=reason)
    print(json.dumps({"name": name}, allow_nan=False) if as_json else f"production: {name}")


def verify(
    name: Annotated[str | None, typer.Argument(help="Bundle; all of them if none.")] = None,
    registry: RegistryOption = REGISTRY,
    public_key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check files, signatures and the history of a registry; exit code 1 when something is wrong."""
    from hilum.registry.store import ModelStore

    store = ModelStore(registry, public_key=public_key)
    names = [name] if name is not None else [model.name for model in store.list()]
    problems = {one: store.verify(one) for one in names}
    if name is None:
        problems["history"] = store.verify_history()
    if as_json:
        print(json.dumps(problems, indent=2, allow_nan=False))
    for one, found in () if as_json else problems.items():
        print(f"{one}: {'whole' if not found else ' '.join(found)}")
    if any(problems.values()):
        raise typer.Exit(1)


def prune(
    keep: Annotated[
        int | None, typer.Option(min=0, help="Earlier versions that stay; 3 if not given.")
    ] = None,
    by: ByOption = None,
    reason: ReasonOption = "pruned",
    registry: RegistryOption = REGISTRY,
    as_json: JsonOption = False,
) -> None:
    """Remove old models; production, the versions before it and those that wait for promotion stay."""
    from hilum.domain.thresholds import KEPT_PREVIOUS_VERSIONS
    from hilum.registry.store import ModelStore

    kept = KEPT_PREVIOUS_VERSIONS if keep is None else keep
    names = ModelStore(registry).prune(kept, by=by or getpass.getuser(), reason=reason)
    print(json.dumps({"removed": names}, allow_nan=False)) if as_json else print(
        "\n".join(f"removed {one}" for one in names)
    )


def keygen(
    out: Annotated[Path, typer.Option(help="Folder of the two key files.")],
    as_json: JsonOption = False,
) -> None:
    """Make a pair of Ed25519 keys: the private one signs releases, the public one goes to who serves them."""
    from hilum.registry.signing import make_keys

    private, public = make_keys(out)
    if as_json:
        print(json.dumps({"private": str(private), "public": str(public)}, allow_nan=False))
    else:
        print(f"private key: {private}  (keep it secret and off the servers)\npublic key:  {public}")


def publish(
    name: NameArgument,
    to: Annotated[str, typer.Option(help="Tracking URI of MLflow, for example sqlite:///mlflow.db.")],
    registry: RegistryOption = REGISTRY,
    public_key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Copy a released model to an MLflow model registry; what is production here is called so there."""
    from hilum.registry.alias import PRODUCTION
    from hilum.registry.store import ModelStore
    from hilum.registry.tracking import publish_bundle

    store = ModelStore(registry, public_key=public_key)
    folder = store.resolve(name)
    alias = PRODUCTION if store.production() == folder.name else None
    number = publish_bundle(folder, tracking_uri=to, alias=alias)
    print(
        json.dumps({"version": number, "alias": alias}, allow_nan=False)
        if as_json
        else f"version {number} in {to}"
    )


def try_out(folder: Path) -> None:
    """Open a bundle as the service does, which runs its self-test films.

    Raises
    ------
    CheckpointError, EngineFailed
        If it cannot be served.
    ConfigError
        If what serving needs is not installed here.
    """
    from hilum.domain.errors import ConfigError

    try:
        from hilum.inference.engine import Engine, EngineSettings
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{error.name} is not installed, which trying a model out needs; pip install 'hilum[serve]'."
        ) from error
    Engine.open(folder, settings=EngineSettings(workers=1)).close()


def _print_promotion(result: "PromotionResult") -> None:
    for refusal in result.refusals:
        print(f"{refusal.gate}: {refusal.sentence}", file=sys.stderr if not result.promoted else sys.stdout)
    for sentence in result.not_judged:
        print(f"not judged: {sentence}")
    if not result.promoted:
        print(f"hilum: {result.name} is not promoted; {len(result.refusals)} reason(s)", file=sys.stderr)
        return
    if result.override:
        print(f"overruled: {result.override}")
    print(f"production: {result.name}" + (f" (before: {result.previous})" if result.previous else ""))


COMMANDS = (("list", list_models), show, promote, rollback, verify, prune, keygen, publish)
