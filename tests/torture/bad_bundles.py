"""Group F: every bad bundle is caught before a film is answered, at the start and at a change under load."""

import contextlib
import random
import shutil
import sqlite3
import time
from collections.abc import Mapping
from pathlib import Path

from hilum.domain.errors import HilumError
from hilum.registry.bundle import GRAPH_FILE, SELFTEST_FILE, WEIGHTS_FILE
from hilum.registry.signing import make_keys, sign_bundle
from hilum.registry.store import ModelStore
from tests.harness.films import real_png
from tests.harness.models import force_production, make_bundle, make_registry
from tests.harness.processes import wait_until
from tests.harness.server import Server

from .damages import DAMAGES, PICKLE_WAS_RUN, Damage, cut, flip, signature_damages
from .sabotaged import sabotaged
from .service import Load, named_model, serving, tell
from .trial import Finding, trial

CUTS, FLIPS = 20, 200
RATE_PER_S, SETTLED_S = 4, 5.0
GIVEN_UP_S = 30.0
SEED = 3
CONTROL = ("whole, with other weights than were tested, sealed", "weights cut")


@trial(
    "F1",
    f"{len(DAMAGES)} damages, and 7 of the signature, to the production bundle, each before a start and at a"
    f" change under load ({RATE_PER_S} films a second); {CUTS} cuts and {FLIPS} flipped bits of"
    " each large file,"
    " read by the registry's code",
    target=f"every one caught before a film is answered, the version before answers within {SETTLED_S:.0f} s,"
    " 0 failed requests, no pickle run",
    sabotage="no self-test is asked for",
    alone=True,
)
def damage_bundles(folder: Path, broken: bool) -> Finding:
    """Each damage in its own version; then the cuts and flips."""
    with contextlib.suppress(OSError):
        PICKLE_WAS_RUN.rmdir()
    (folder / "keys").mkdir()
    private, public = make_keys(folder / "keys")
    wanted: Mapping[str, Damage] = DAMAGES if not broken else {name: DAMAGES[name] for name in CONTROL}
    signed = signature_damages(private, folder / "other") if not broken else {}
    with sabotaged("untested-models" if broken else None):
        plain = _Matrix(folder / "plain", wanted, None, None)
        keyed = _Matrix(folder / "signed", signed, private, public)
        for matrix in (plain, keyed) if not broken else (plain,):
            matrix.change_under_load()
            matrix.start_with_each()
    tried, unseen = (0, []) if broken else _cut_and_flip(folder / "cuts")
    wrong = plain.wrong + keyed.wrong + unseen
    if PICKLE_WAS_RUN.exists():
        wrong.append("a pickle was run")
    count = plain.tried + keyed.tried + tried
    slowest = max(plain.slowest_s, keyed.slowest_s)
    return Finding(
        count,
        not wrong and slowest <= SETTLED_S,
        f"{len(wrong)} of {count} wrong{': ' + '; '.join(wrong[:3]) if wrong else ''}; slowest noticed after"
        f" {slowest:.1f} s; {plain.requests + keyed.requests} requests under way,"
        f" {plain.failed + keyed.failed} failed {plain.told}{keyed.told}".rstrip(),
    )


class _Matrix:
    """One registry with a good version and a bad one for each damage."""

    def __init__(
        self, folder: Path, damages: Mapping[str, Damage], private: Path | None, public: Path | None
    ) -> None:
        self.tried = self.requests = self.failed = 0
        self.slowest_s = 0.0
        self.told = ""
        self.wrong: list[str] = []
        self._folder, self._root = folder, folder / "registry"
        self._good = make_bundle(self._root, "1.0.0")
        if private is not None:
            sign_bundle(self._good, private)
        self._arguments = ("--registry", str(self._root))
        self._environment = {"HILUM_PUBLIC_KEY": str(public)} if public is not None else {}
        make_registry(self._root, self._good, production=self._good.name)
        self._bad: dict[str, Path] = {}
        for number, (name, damage) in enumerate(damages.items()):
            bundle = make_bundle(self._root, f"2.{number}.0", offset=1.0)
            if private is not None:
                sign_bundle(bundle, private)
            damage(bundle)
            self._bad[name] = bundle

    def change_under_load(self) -> None:
        with serving(self._folder / "reload", *self._arguments, environment=self._environment) as server:
            server.predict(real_png(256))
            names = list(self._bad.items())
            with Load(server, rate_per_s=RATE_PER_S) as load:
                for name, bundle in names:
                    self._change_to(server, name, bundle)
        self.requests += len(load.outcomes)
        self.failed += len(load.failed)
        self.told += tell(load.failed)
        if load.failed:
            self.wrong.append(f"{len(load.failed)} requests failed during changes")
        others = {named_model(outcome) for outcome in load.outcomes if outcome.status == 200}
        if others - {self._good.name}:
            self.wrong.append(f"answered by {sorted(others - {self._good.name})}")

    def _change_to(self, server: Server, name: str, bundle: Path) -> None:
        began = time.monotonic()
        force_production(self._root, bundle.name)
        self.tried += 1
        noticed = wait_until(lambda: _refused(server, bundle.name), timeout_s=GIVEN_UP_S)
        self.slowest_s = max(self.slowest_s, time.monotonic() - began)
        health = server.get("/health").json()
        if not noticed or (health["model"], health["fallback"]) != (self._good.name, True):
            self.wrong.append(f"reload, {name}: noticed {noticed}, {health['model']} in use")

    def start_with_each(self) -> None:
        with serving(self._folder / "start", *self._arguments, environment=self._environment) as server:
            server.kill()
            for name, bundle in self._bad.items():
                force_production(self._root, bundle.name)
                self.tried += 1
                server.start()
                answer = server.predict(real_png(256))
                model = answer.json().get("model", {}) if answer.status == 200 else {}
                if (model.get("name"), model.get("fallback")) != (self._good.name, True):
                    self.wrong.append(f"start, {name}: {answer.status} by {model.get('name')}")
                server.kill()


def _refused(server: Server, name: str) -> bool:
    query = "SELECT 1 FROM journal WHERE code = 'model-refused' AND model_version = ?"
    with contextlib.closing(
        sqlite3.connect(f"file:{server.data / 'journal.sqlite'}?mode=ro", uri=True)
    ) as file:
        return file.execute(query, (name,)).fetchone() is not None


def _cut_and_flip(folder: Path) -> tuple[int, list[str]]:
    """Return how many damages were tried, and those that a registry took for whole."""
    whole = make_bundle(folder / "whole", "1.0.0")
    work = folder / "work" / whole.name
    store, dice, tried, unseen = ModelStore(work.parent), random.Random(SEED), 0, []
    for name in (WEIGHTS_FILE, GRAPH_FILE, SELFTEST_FILE):
        size = (whole / name).stat().st_size
        kinds = [("cut", number / CUTS) for number in range(CUTS)]
        kinds += [("bit", dice.randrange(8 * size)) for _ in range(FLIPS)]
        for kind, at in kinds:
            shutil.rmtree(work, ignore_errors=True)
            shutil.copytree(whole, work)
            cut(work / name, at) if kind == "cut" else flip(work / name, int(at))
            tried += 1
            try:
                store.resolve(whole.name)
            except HilumError:
                continue
            unseen.append(f"{name}, {kind} {at}")
    return tried, unseen
