"""Command of recalibration: recalibrate."""

import getpass
import json
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hilum.cli.registry import REGISTRY, ByOption, JsonOption, KeyOption, RegistryOption, try_out
from hilum.cli.retrain import JournalOption, UrlOption

if TYPE_CHECKING:
    from hilum.journal.journal import Journal
    from hilum.monitoring.recalibration import Recalibration
    from hilum.registry.bundle import Bundle
    from hilum.registry.store import ModelStore

EXIT_REFUSED = 1


def recalibrate(
    data: Annotated[
        Path | None, typer.Option("--data", help="The model's data set: its cut-offs are fitted again.")
    ] = None,
    registry: RegistryOption = REGISTRY,
    promote: Annotated[bool, typer.Option("--promote", help="Promote when every gate passes.")] = False,
    by: ByOption = None,
    out: Annotated[Path, typer.Option(help="Folder of the evaluation.")] = Path("recalibration"),
    sign: Annotated[Path | None, typer.Option(help="Private key for the bundle.")] = None,
    public_key: KeyOption = None,
    journal: JournalOption = None,
    journal_url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Release production's weights with a temperature fitted on labelled answers of the journal."""
    from datetime import date

    from hilum.cli.audit_log import open_journal
    from hilum.registry.alias import PRODUCTION
    from hilum.registry.recalibrate import release_recalibrated
    from hilum.registry.store import ModelStore

    by = by or getpass.getuser()
    store = ModelStore(registry, public_key=public_key, try_out=try_out)
    with closing(open_journal(journal, journal_url, None, None)) as opened:
        found = _fit(opened, store)
        made = release_recalibrated(
            store, PRODUCTION, data, out, temperature=found.temperature, films=found.films, by=by,
            today=date.today(), private_key=sign,
        )  # fmt: skip
        _note(opened, made, found)
    reasons = _judge(store, made.name, by=by, promote=promote)
    _print(found, made.name, reasons, promoted=promote and not reasons, as_json=as_json)
    if reasons:
        raise typer.Exit(EXIT_REFUSED)


def _fit(journal: "Journal", store: "ModelStore") -> "Recalibration":
    """Return the new temperature of what is production, or refuse."""
    from hilum.evaluation.reference_profile import read_reference
    from hilum.monitoring.monitor import Monitor
    from hilum.monitoring.recalibration import check_calibration_alone, read_for_recalibration, recalibrate
    from hilum.monitoring.rollup import catch_up
    from hilum.registry.alias import PRODUCTION
    from hilum.registry.bundle import read_bundle

    bundle = read_bundle(store.resolve(PRODUCTION))
    reference = read_reference(bundle.folder, weights_sha256=bundle.facts["weights_sha256"])
    catch_up(journal.storage)
    with journal.storage.read(is_long=True) as connection:
        labelled = read_for_recalibration(connection, journal.clock(), bundle.name)
    check_calibration_alone(Monitor(journal).assess(bundle.name, reference))
    return recalibrate(labelled, temperature=bundle.temperature)


def _note(journal: "Journal", made: "Bundle", found: "Recalibration") -> None:
    import uuid

    from hilum.journal.record import Event

    facts = {"temperature": found.temperature, "before": found.before, "films": found.films}
    event = Event(
        "monitor", str(uuid.uuid4()), "recalibrate", None, None, 0, code="recalibrated",
        model_version=made.name, facts=facts,
    )  # fmt: skip
    journal.append(event)


def _judge(store: "ModelStore", name: str, *, by: str, promote: bool) -> list[str]:
    """Ask the gates, and promote if asked to and none refuses; return the reasons to refuse."""
    result = store.judge(name)
    if promote and not result.refusals:
        result = store.promote(name, by=by, reason="recalibrated on labelled answers")
    return [f"{one.gate}: {one.sentence}" for one in result.refusals]


def _print(found: "Recalibration", name: str, reasons: list[str], *, promoted: bool, as_json: bool) -> None:
    from hilum.evaluation.record import to_plain

    record: dict[str, Any] = to_plain(found)  # type: ignore[assignment]
    if as_json:
        print(
            json.dumps(
                {"name": name, **record, "refusals": reasons, "promoted": promoted}, indent=2, allow_nan=False
            )
        )
        return
    print(
        f"temperature {found.temperature:.3f}, before {found.before:.3f}, of {found.films} labelled answers"
    )
    print(f"{found.reports} of the labels are reports of errors")
    for what, figure in (("before", record["ece_before"]), ("after, on films held out", record["ece_after"])):
        print(f"ECE {what}: {figure['value']:.3f} ({figure['low']:.3f} to {figure['high']:.3f})")
    print(f"{'production' if promoted else 'released, not promoted'}: {name}")
    for reason in reasons:
        print(f"  {reason}")


COMMANDS = (recalibrate,)
