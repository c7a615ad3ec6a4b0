"""Commands of retraining: retrain, and retraining list, show, promote, decline.

The journal keeps the decision, the registry the models; `hilum.monitoring.retraining` and
`hilum.registry.candidate` know nothing of each other, and meet here.
"""

import getpass
import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hilum.cli.registry import REGISTRY, ByOption, JsonOption, KeyOption, RegistryOption, try_out

if TYPE_CHECKING:
    from hilum.monitoring.decision import Decision
    from hilum.monitoring.retraining import Retraining
    from hilum.registry.promotion import PromotionResult
    from hilum.registry.store import ModelStore

EXIT_REFUSED = 1
_SHORT = 8

JournalOption = Annotated[Path | None, typer.Option("--journal", help="Folder of the service's data.")]
UrlOption = Annotated[
    str | None, typer.Option("--journal-url", help="sqlite:///FILE or postgresql://USER@HOST/NAME.")
]
IdArgument = Annotated[str, typer.Argument(help="Of the decision; its first digits are enough.")]

APP = typer.Typer(name="retraining", help="See and end decisions about retraining.", no_args_is_help=True)


def retrain(
    data: Annotated[Path, typer.Option("--data", help="What the model in production was trained on.")],
    new: Annotated[
        Path, typer.Option("--new", help="New films: folder, CSV, or a CSV film,request_id of answers.")
    ],
    registry: RegistryOption = REGISTRY,
    decision: Annotated[str | None, typer.Option(help="Id of the decision; the open one if none.")] = None,
    reason: Annotated[str | None, typer.Option(help="Open a decision by hand, and why.")] = None,
    promote: Annotated[bool, typer.Option("--promote", help="Promote when every gate passes.")] = False,
    by: ByOption = None,
    settings: Annotated[list[str] | None, typer.Option("--set", help="section.key=value.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for what is made on the way.")] = Path("retraining"),
    sign: Annotated[Path | None, typer.Option(help="Private key for the bundle.")] = None,
    public_key: KeyOption = None,
    journal: JournalOption = None,
    journal_url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train on old and new films, judge the result beside production; exit code 1 when a gate refuses."""
    by = by or getpass.getuser()
    with _opened(journal, journal_url, registry, public_key) as (retraining, store):
        chosen = _choose(retraining, store, decision, reason, by)
        build = {"overrides": tuple(settings or ()), "private_key": sign}
        chosen, result = _build(retraining, store, chosen, (data, new, out), by=by, build=build)
        if promote and not result.refusals:
            chosen, result = _promote(retraining, store, chosen, by=by, reason="every gate passed")
        _print_decision(chosen, as_json=as_json)
    _conclude(chosen, result)


@APP.command("list")
def list_decisions(
    registry: RegistryOption = REGISTRY,
    journal: JournalOption = None,
    journal_url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """List decisions, the newest first; * waits for somebody."""
    with _opened(journal, journal_url, registry, None) as (retraining, _):
        found = retraining.find_all()
    if as_json:
        print(json.dumps([_to_plain(one) for one in found], indent=2, allow_nan=False))
        return
    for one in found:
        mark, causes = " " if one.is_closed else "*", ", ".join(one.causes)
        print(f"{mark} {one.id}  {one.opened_at:%Y-%m-%d}  {one.state:<11}  {causes}")
    if not found:
        print("hilum: no decision about retraining was asked for", file=sys.stderr)


@APP.command()
def show(
    decision: IdArgument,
    registry: RegistryOption = REGISTRY,
    journal: JournalOption = None,
    journal_url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print a decision record."""
    with _opened(journal, journal_url, registry, None) as (retraining, _):
        _print_decision(_find(retraining, decision), as_json=as_json)


@APP.command("promote")
def promote_decision(
    decision: IdArgument,
    reason: Annotated[str, typer.Option("--reason", help="Why, kept in the history.")],
    by: ByOption = None,
    registry: RegistryOption = REGISTRY,
    public_key: KeyOption = None,
    journal: JournalOption = None,
    journal_url: UrlOption = None,
) -> None:
    """Promote the candidate of a judged decision; exit code 1 with every reason when a gate refuses."""
    with _opened(journal, journal_url, registry, public_key) as (retraining, store):
        chosen = _find(retraining, decision)
        chosen, result = _promote(retraining, store, chosen, by=by or getpass.getuser(), reason=reason)
    _conclude(chosen, result)


@APP.command()
def decline(
    decision: IdArgument,
    reason: Annotated[str, typer.Option("--reason", help="Why no new model, kept in the record.")],
    by: ByOption = None,
    registry: RegistryOption = REGISTRY,
    journal: JournalOption = None,
    journal_url: UrlOption = None,
) -> None:
    """End a decision without a new model."""
    with _opened(journal, journal_url, registry, None) as (retraining, _):
        chosen = _find(retraining, decision)
        retraining.decline(chosen.id, by=by or getpass.getuser(), why=reason)
    print(f"declined: {chosen.id}")


@contextmanager
def _opened(
    journal: Path | None, url: str | None, registry: Path, public_key: Path | None
) -> "Iterator[tuple[Retraining, ModelStore]]":
    """Open journal and registry, and let the decisions know what the registry did meanwhile."""
    from hilum.cli.audit_log import open_journal
    from hilum.monitoring.retraining import Retraining
    from hilum.registry.store import ModelStore

    with closing(open_journal(journal, url, None, None)) as opened:
        retraining, store = Retraining(opened), ModelStore(registry, public_key=public_key, try_out=try_out)
        retraining.settle(store.history())
        yield retraining, store


def _find(retraining: "Retraining", start: str) -> "Decision":
    from hilum.domain.errors import InputError

    found = [one for one in retraining.find_all(limit=10_000) if one.id.startswith(start)]
    if len(found) > 1:
        raise InputError(f"retraining: {len(found)} decisions begin with {start!r}; give more digits.")
    return found[0] if found else retraining.find(start)


def _choose(
    retraining: "Retraining", store: "ModelStore", decision: str | None, reason: str | None, by: str
) -> "Decision":
    from hilum.domain.errors import ConfigError

    if decision is not None and reason is not None:
        raise ConfigError("--decision names a decision and --reason opens one: give one of the two.")
    if decision is not None:
        return _find(retraining, decision)
    if reason is not None:
        return retraining.ask(model=store.production(), by=by, why=reason)
    found = retraining.open()
    if found is None:
        raise ConfigError("no decision about retraining is open; say why you retrain: --reason TEXT.")
    return found


def _build(
    retraining: "Retraining",
    store: "ModelStore",
    decision: "Decision",
    paths: tuple[Path, Path, Path],
    *,
    by: str,
    build: dict[str, Any],
) -> "tuple[Decision, PromotionResult]":
    """Build and judge a candidate; one process at a time for a decision."""
    from dataclasses import asdict
    from datetime import date

    from hilum.domain.errors import HilumError, RunFolderBusy
    from hilum.registry.candidate import build_candidate
    from hilum.registry.lock import hold_lock

    data, new, out = paths
    folder = out / decision.id[:_SHORT]
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        try:
            held.enter_context(hold_lock(folder, wait_s=0))
        except RunFolderBusy as error:
            raise RunFolderBusy(
                f"{folder}: another process builds for this decision; wait for it."
            ) from error
        decision = retraining.begin(decision.id, by=by, why="hilum retrain")
        try:
            new = _label_from_journal(retraining, new, folder)
            found = build_candidate(store, data, new, folder, by=by, today=date.today(), **build)
            result = store.judge(found.name)
        except HilumError as error:  # its text may name a film, which a record of a decision must not
            retraining.fail(decision.id, by=by, why=f"building failed: {error.code}")
            raise
        decision = retraining.judge(
            decision.id, by=by, why=f"{len(result.refusals)} reason(s) of the gates to refuse",
            data=found.data, candidate={"name": found.name, "weights_sha256": found.weights_sha256},
            evaluations=found.evaluations,
            verdict={
                "current": result.previous,
                "refusals": [asdict(one) for one in result.refusals],
                "not_judged": list(result.not_judged),
            },
        )  # fmt: skip
        if result.refusals:
            decision = retraining.refuse(decision.id, by=by, why="the promotion gates refuse the candidate")
    return decision, result


def _label_from_journal(retraining: "Retraining", new: Path, folder: Path) -> Path:
    """Return the new data; of a table of answers those with a reader's label."""
    from hilum.data.reviewed import is_reviewed_table, write_reviewed

    if not is_reviewed_table(new):
        return new
    reviewed = write_reviewed(new, retraining.labels(), folder / "reviewed.csv")
    print(f"hilum: {reviewed.labelled} films labelled, {reviewed.unlabelled} not", file=sys.stderr)
    return reviewed.table


def _promote(
    retraining: "Retraining", store: "ModelStore", decision: "Decision", *, by: str, reason: str
) -> "tuple[Decision, PromotionResult]":
    from hilum.domain.errors import InputError

    if decision.candidate is None or decision.is_closed:
        raise InputError(
            f"retraining: decision {decision.id} is {decision.state}; there is nothing to promote."
        )
    why = f"retraining {decision.id[:_SHORT]} ({', '.join(decision.causes)}): {reason}"
    result = store.promote(decision.candidate, by=by, reason=why)
    if result.promoted:
        retraining.settle(store.history())
    else:
        retraining.refuse(decision.id, by=by, why="the promotion gates refuse the candidate")
    return retraining.find(decision.id), result


def _conclude(decision: "Decision", result: "PromotionResult") -> None:
    if result.promoted:
        print(f"production: {result.name} (before: {result.previous})", file=sys.stderr)
        return
    if not result.refusals:
        print(
            f"hilum: every gate passes; hilum retraining promote {decision.id[:_SHORT]} makes it production",
            file=sys.stderr,
        )
        return
    for refusal in result.refusals:
        print(f"{refusal.gate}: {refusal.sentence}", file=sys.stderr)
    print(f"hilum: {result.name} is not promoted; {len(result.refusals)} reason(s)", file=sys.stderr)
    raise typer.Exit(EXIT_REFUSED)


def _print_decision(decision: "Decision", *, as_json: bool) -> None:
    from hilum.monitoring.decision import describe

    print(json.dumps(_to_plain(decision), indent=2, allow_nan=False) if as_json else describe(decision))


def _to_plain(decision: "Decision") -> dict[str, Any]:
    return {"id": decision.id, **decision.to_row(), "record": dict(decision.record)}


COMMANDS = (retrain,)
GROUPS = {"retraining": APP}
