"""Commands of the journal: audit-log verify, export, retention.

An export can be verified without hilum, by anyone who has the chain key: what is hashed, to the byte, is
written down in `hilum.journal.chain`, and in short is this. The first line of an export gives `starts_after`
and `starts_hash` (hex). For each further line, in order, `seq` rises by one, and

    body = the line's JSON without user_id, ip_address, salt and hash; names sorted, no spaces, ASCII
    hash = HMAC-SHA256(chain key, b"link" + newline + previous hash as 32 bytes + body)

Where `salt` (hex) is given, user_commitment = HMAC-SHA256(salt, b"user_id" + newline + user_id), and so for
ip_commitment and b"ip_address"; where it is null after 90 days, the commitment stays. Each line of the
checkpoints file has a `seq` and a `hash` that must be those of the record.

What is not given on the command line comes from the settings of the service (`hilum serve --show-settings`).
"""

import json
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from hilum.journal.journal import Journal

EXIT_REFUSED = 1

APP = typer.Typer(name="audit-log", help="Check, export and thin out the journal.", no_args_is_help=True)

Data = Annotated[Path | None, typer.Option(help="Folder of the service's data.")]
Url = Annotated[str | None, typer.Option(help="sqlite:///FILE or postgresql://USER@HOST/NAME.")]
KeyFile = Annotated[Path | None, typer.Option(help="File of the chain key.")]
Checkpoints = Annotated[Path | None, typer.Option(help="Folder or file of the checkpoints.")]


@APP.command()
def verify(
    data: Data = None,
    url: Url = None,
    key_file: KeyFile = None,
    checkpoints: Checkpoints = None,
    as_json: Annotated[bool, typer.Option("--json", help="The verdict as JSON.")] = False,
) -> None:
    """Find an altered, deleted, inserted or reordered record; exit 1 when there is one."""
    from dataclasses import asdict

    with closing(open_journal(data, url, key_file, checkpoints)) as journal:
        verdict = journal.verify()
    print(
        json.dumps(asdict(verdict), allow_nan=False)
        if as_json
        else f"{'ok' if verdict.ok else 'BROKEN'}: {verdict.reason}"
    )
    if not verdict.ok:
        raise typer.Exit(EXIT_REFUSED)


@APP.command()
def export(
    data: Data = None,
    url: Url = None,
    key_file: KeyFile = None,
    checkpoints: Checkpoints = None,
    out: Annotated[
        Path | None, typer.Option(help="File, readable by its owner alone; stdout if none.")
    ] = None,
) -> None:
    """Write the journal as JSON lines that can be verified without hilum."""
    from hilum.domain.errors import ConfigError
    from hilum.files import open_atomic
    from hilum.journal.export import export_lines

    if out is not None and (out.is_symlink() or (out.exists() and not out.is_file())):
        raise ConfigError(
            f"{out}: is a link, a folder, a device or a pipe; name a file, or omit --out for stdout."
        )
    with closing(open_journal(data, url, key_file, checkpoints)) as journal:
        if out is None:
            for line in export_lines(journal):
                print(line)
            return
        with open_atomic(out, private=True) as file:
            file.writelines(f"{line}\n".encode() for line in export_lines(journal))


@APP.command()
def retention(
    data: Data = None,
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

    with closing(open_journal(data, url, key_file, checkpoints)) as journal:
        outcome = run_retention(journal, now_utc(), confirmed=confirm)
    print(f"{outcome.anonymised} anonymised, {outcome.purged} purged")
    if outcome.held_up_by is not None:
        print(
            f"record {outcome.held_up_by} is ahead of its time and holds up others: see the clock, --confirm"
        )


def open_journal(
    data: Path | None, url: str | None, key_file: Path | None, checkpoints: Path | None
) -> "Journal":
    """Open the journal of a service, by the settings of the environment with those given on top."""
    from hilum.journal.journal import Journal
    from hilum.journal.storage import Storage
    from hilum.serving.secret_files import load_secrets
    from hilum.serving.settings import read_settings

    settings = read_settings(data=data, journal_url=url, chain_key_file=key_file, checkpoints=checkpoints)
    settings.check_files()
    Storage.open(settings.database_url, must_exist=True).close()  # before a secret is made at a wrong place
    secrets = load_secrets(settings)
    return Journal.open(
        settings.database_url, chain_key=secrets.chain_key, checkpoints=settings.checkpoints, must_exist=True
    )
