"""Whether the folder of a bundle is what its name and its checksums say, and nothing else.

Stricter than `read_bundle`: the folder is named as the bundle, holds plain files only, and where a key is
given carries its signature. Never follows a link.
"""

import stat
from pathlib import Path

from hilum.domain.errors import CheckpointError
from hilum.registry.bundle import SUMS_FILE, Bundle, read_bundle, sum_files
from hilum.registry.versions import parse_name


def check_bundle(folder: Path, *, public_key: Path | None = None) -> Bundle:
    """Read a bundle of a registry.

    Parameters
    ----------
    public_key
        Whose signature it must carry; None asks for none.

    Raises
    ------
    CheckpointError
        With every problem that `find_problems` knows.
    """
    bundle, problems = _inspect(folder, public_key)
    if bundle is None or problems:
        raise CheckpointError(" ".join(problems))
    return bundle


def find_problems(folder: Path, *, public_key: Path | None = None) -> list[str]:
    """Return what is wrong with a bundle of a registry, one sentence each."""
    return _inspect(folder, public_key)[1]


def _inspect(folder: Path, public_key: Path | None) -> tuple[Bundle | None, list[str]]:
    try:
        parse_name(folder.name)
        problems = _find_unsafe(folder)
        if problems:  # reading on would follow what is not to be followed
            return None, problems
        bundle, problems = _read(folder)
    except CheckpointError as error:
        return None, [str(error)]
    except OSError as error:
        return None, [f"{folder.name}: cannot be read ({error.strerror})."]
    if public_key is not None:
        from hilum.registry.signing import verify_signature

        try:
            verify_signature(folder, public_key)
        except CheckpointError as error:
            problems.append(str(error))
    return bundle, problems


def _find_unsafe(folder: Path) -> list[str]:
    if folder.is_symlink():
        return [f"{folder.name}: is a link; a bundle is a folder of its own."]
    if not folder.is_dir():
        return [f"{folder.name}: is not in this registry. See `hilum list`."]
    problems = []
    for path in sorted(folder.rglob("*")):
        mode = path.lstat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            problems.append(
                f"{folder.name}: {path.relative_to(folder).as_posix()!r} is no plain file; a bundle holds"
                " nothing else. Fetch it again."
            )
    return problems


def _read(folder: Path) -> tuple[Bundle | None, list[str]]:
    try:
        bundle = read_bundle(folder)
        name = bundle.name
    except CheckpointError as error:
        return None, _find_changed(folder) or [str(error)]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None, [f"{folder.name}: its bundle.json is no record of a release. Fetch it again."]
    if name != folder.name:
        return bundle, [f"{folder.name}: holds the bundle {name!r}; a bundle is never renamed."]
    return bundle, []


def _find_changed(folder: Path) -> list[str]:
    """Return which files differ from the checksums; none when all agree or there are no checksums."""
    sums = folder / SUMS_FILE
    if not sums.is_file():
        return []
    told, found = (_parse(text) for text in (sums.read_text(errors="replace"), sum_files(folder)))
    problems = []
    for name in sorted(told.keys() | found.keys()):
        if name not in found:
            problems.append(f"{folder.name}: {name!r} is missing.")
        elif name not in told:
            problems.append(f"{folder.name}: {name!r} does not belong to the release.")
        elif told[name] != found[name]:
            problems.append(f"{folder.name}: {name!r} was changed after the release, or is damaged.")
    return problems


def _parse(sums: str) -> dict[str, str]:
    """Return hash by name."""
    return {name: digest for digest, _, name in (line.partition("  ") for line in sums.splitlines())}
