"""Commands of the journal: audit-log verify, export, retention.

An export can be verified without hilum, by anyone who has the chain key: what is hashed, to the byte, is
written down in `hilum.journal.chain`, and in short is this. The first line of an export gives `starts_after`
and `starts_hash` (hex). For each further line, in order, `seq` rises by one, and

    body = the line's JSON without user_id, ip_address, salt and hash; names sorted, no spaces, ASCII
    hash = HMAC-SHA256(chain key, b"link" + newline + previous hash as 32 bytes + body)

Where `salt` (hex) is given, user_commitment = HMAC-SHA256(salt, b"user_id" + newline + user_id), and so for
ip_commitment and b"ip_address"; where it is null after 90 days, the commitment stays. Each line of the
checkpoints file has a `seq` and a `hash` that must be those of the record.
"""

import json
import os
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hilum.domain.errors import ConfigError

if TYPE_CHECKING:
    from hilum.journal.journal import Journal

EXIT_REFUSED = 1
DATABASE_NAME, CHAIN_KEY_NAME = "journal.sqlite", "chain.key"

APP = typer.Typer(name="audit-log", help="Check, export and thin out the journal.", no_args_is_help=True)

Data = Annotated[Path, typer.Option(envvar="HILUM_DATA", help="Folder of the service's data.")]
Url = Annotated[
    str | None,
    typer.Option(envvar="HILUM_JOURNAL_URL", help="sqlite:///FILE or postgresql://USER@HOST/NAME."),
]
KeyFile = Annotated[Path | None, typer.Option(envvar="HILUM_CHAIN_KEY_FILE", help="File of the chain key.")]
Checkpoints = Annotated[
    Path | None, typer.Option(envvar="HILUM_CHECKPOINTS", help="File or folder of the checkpoints.")
]


@APP.command()
def verify(
    data: Data = Path("data"),
    url: Url = None,
    key_file: KeyFile = None,
    checkpoints: Checkpoints = None,
    as_json: Annotated[bool, typer.Option("--json", help="The verdict as JSON.")] = False,
) -> None:
    """Find an altered, deleted, inserted or reordered record; exit 1 when there is one."""
    from dataclasses import asdict

    with closing(_open(data, url, key_file, checkpoints)) as journal:
        verdict = journal.verify()
    print(json.dumps(asdict(verdict)) if as_json else f"{'ok' if verdict.ok else 'BROKEN'}: {verdict.reason}")
    if not verdict.ok:
        raise typer.Exit(EXIT_REFUSED)


@APP.command()
def export(
    data: Data = Path("data"),
    url: Url = None,
    key_file: KeyFile = None,
    checkpoints: Checkpoints = None,
    out: Annotated[
        Path | None, typer.Option(help="File, readable by its owner alone; stdout if none.")
    ] = None,
) -> None:
    """Write the journal as JSON lines that can be verified without hilum."""
    from hilum.journal.export import export_lines

    with closing(_open(data, url, key_file, checkpoints)) as journal:
        if out is None:
            for line in export_lines(journal):
                print(line)
            return
        with os.fdopen(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.writelines(f"{line}\n" for line in export_lines(journal))


@APP.command()
def retention(
    data: Data = Path("data"),
    url: Url = None,
    key_file: KeyFile = None,
    checkpoints: Checkpoints = None,
    confirm: Annotated[
        bool, typer.Option("--confirm", help="Let more than a fifth of the records go.")
    ] = False,
) -> None:
    """Anonymise records after 90 days and purge them after a year; run it daily."""
    from hilum.journal.clock import now_utc
    from hilum.journal.retention import run_retention

    with closing(_open(data, url, key_file, checkpoints)) as journal:
        outcome = run_retention(journal, now_utc(), confirmed=confirm)
    print(f"{outcome.anonymised} anonymised, {outcome.purged} purged")
    if outcome.held_up_by is not None:
        print(
            f"record {outcome.held_up_by} is ahead of its time and holds up others: see the clock, --confirm"
        )


def _open(data: Path, url: str | None, key_file: Path | None, checkpoints: Path | None) -> "Journal":
    from hilum.journal.journal import Journal

    try:
        chain_key = (key_file or data / CHAIN_KEY_NAME).read_bytes()
    except OSError as fault:
        raise ConfigError(f"audit-log: the chain key cannot be read ({fault.strerror})") from None
    database = url or f"sqlite:///{data / DATABASE_NAME}"
    return Journal.open(database, chain_key=chain_key, checkpoints=checkpoints, must_exist=True)
