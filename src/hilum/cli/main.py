"""The program `hilum`: collects the commands, sets up logs, and turns errors into exit codes.

Exit codes: 0 done; 1 refused or some input could not be used; 2 bad usage or configuration; 130
interrupted. Results go to stdout, logs and progress to stderr.
"""

import logging
import sys
import warnings
from typing import Annotated, Any

import typer

from hilum import __version__
from hilum.cli import (
    audit_log,
    data,
    drill,
    experiment,
    monitor,
    operate,
    recalibrate,
    registry,
    retrain,
    serve,
    site,
    trust,
)
from hilum.domain.errors import ConfigError, HilumError
from hilum.domain.notice import NOTICE

EXIT_REFUSED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells have it
_EXIT_CODES: tuple[tuple[type[HilumError], int], ...] = (
    (ConfigError, EXIT_USAGE),
    (HilumError, EXIT_REFUSED),
)
_NO_MEMORY = ("failed to map segment", "annot allocate memory", "can't start new thread")
"""What the dynamic linker and threads say where they do not fit into the memory that there is."""
_TOO_LITTLE_MEMORY = (
    "hilum: there is too little memory for it. Raise the limit of this process (ulimit -v, the container's),"
    " or free some."
)

app = typer.Typer(
    name="hilum",
    help=f"Chest X-rays to Normal, Pneumonia or Tuberculosis. {NOTICE}",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_PANELS = {
    "Data": ("phantoms", "audit"),
    "Train": ("train", "tune", "leave-one-out", "evaluate", "robustness", "safeguard"),
    "Release": (
        "register", "list", "show", "promote", "rollback", "verify", "prune", "keygen", "publish",
        "recalibrate", "retrain", "retraining",
    ),
    "Use": ("predict", "commission", "serve"),
    "Watch": ("monitor", "drill"),
    "Administer": ("keys", "audit-log"),
}  # fmt: skip
"""Every command in its panel of the help, in the order in which the panels are shown."""


def _collect() -> None:
    commands: dict[str, tuple[str, Any]] = {}
    for group in (data, drill, experiment, trust, site, operate, registry, retrain, recalibrate, serve):
        for command in group.COMMANDS:
            name, function = command if isinstance(command, tuple) else (command.__name__, command)
            commands[name.replace("_", "-")] = ("command", function)
    groups = {**serve.GROUPS, **retrain.GROUPS, "audit-log": audit_log.APP, "monitor": monitor.APP}
    commands |= {name: ("group", commands_of) for name, commands_of in groups.items()}
    for panel, names in _PANELS.items():
        for name in names:
            kind, what = commands.pop(name)
            if kind == "command":
                app.command(name, rich_help_panel=panel)(what)
            else:
                app.add_typer(what, name=name, rich_help_panel=panel)
    assert not commands, f"commands without a panel: {sorted(commands)}"


_collect()


def _print_version(asked: bool) -> None:
    if asked:
        print(f"hilum {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    del version


def main() -> None:
    """Run the program; an error that has a message gives one line on stderr, our own mistakes a trace."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    for noisy in (
        "lightning.fabric.utilities.rank_zero",  # by full name: lightning sets its parents' levels itself
        "lightning.pytorch.utilities.rank_zero",
        "matplotlib",
        "mlflow",
        "alembic",
        "art",
    ):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    if not sys.warnoptions:
        warnings.simplefilter("default", UserWarning)
        warnings.filterwarnings("ignore", module="sklearn")  # what it warns of, our figures say with a reason
    try:
        app()
    except HilumError as error:
        print(f"hilum: {error}", file=sys.stderr)
        sys.exit(next(code for kind, code in _EXIT_CODES if isinstance(error, kind)))
    except SystemExit as ending:  # how typer ends, Ctrl-C included
        if ending.code == EXIT_INTERRUPTED:
            print("hilum: interrupted; finished work is kept", file=sys.stderr)
        raise
    except (MemoryError, ImportError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and not any(said in str(error) for said in _NO_MEMORY):
            raise
        print(_TOO_LITTLE_MEMORY, file=sys.stderr)
        sys.exit(EXIT_REFUSED)
    except OSError as error:  # a full disk, a folder without permission: the machine's doing, not ours
        print(f"hilum: {error.filename or 'file system'}: {error.strerror or error}", file=sys.stderr)
        sys.exit(EXIT_REFUSED)
