"""Group F: what answers when a model fails at work, when none works, and when its files change behind it."""

import contextlib
import random
import time
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from hilum.domain.errors import EngineFailed
from hilum.domain.thresholds import ENGINE_FAILURES_TO_FALL_BACK
from hilum.registry.bundle import GRAPH_FILE, SUMS_FILE, WEIGHTS_FILE, sum_files
from hilum.serving import models_in_use
from hilum.serving.refusals import Unavailable
from tests.harness.films import real_png
from tests.harness.models import force_production, make_bundle, make_registry
from tests.harness.processes import wait_until
from tests.harness.server import Server
from tests.imaging.make_films import encode

from .damages import flip
from .sabotaged import sabotaged
from .service import serving
from .trial import Finding, trial

ROUNDS, SEQUENCES, FILMS_AFTER = 10, 100, 100
SETTLED_S, QUIET_S = 5.0, 15.0
BRIGHT = 170.0  # mean grey; the self-test's noise has 127
SEED = 8
NOTHING_SHIPPED = {"HILUM_VARIANT": "nothing-shipped"}


def make_fragile(root: Path, version: str) -> Path:
    """Make a bundle that passes its self-test and gives NaN for a bright film."""
    folder = make_bundle(root, version, offset=1.0)
    model = onnx.load(str(folder / GRAPH_FILE))
    graph = model.graph
    for name, number in (("bright", BRIGHT), ("tiny", 1e-9)):
        graph.initializer.append(numpy_helper.from_array(np.array([[number]], np.float32), name))
    for node in graph.node:
        if node.output[0] == "logits":
            node.output[0] = "sound"
    graph.node.extend([
        helper.make_node("Sub", ["bright", "mean"], ["room"]),
        helper.make_node("Sqrt", ["room"], ["root"]),
        helper.make_node("Mul", ["root", "tiny"], ["nothing"]),
        helper.make_node("Add", ["sound", "nothing"], ["logits"]),
    ])  # fmt: skip
    onnx.save(model, str(folder / GRAPH_FILE))
    (folder / SUMS_FILE).write_text(sum_files(folder))
    return folder


def grey_png(mean: int) -> bytes:
    """A film of noise around a grey, with nothing saturated."""
    noise = np.random.default_rng(SEED).integers(mean - 30, mean + 30, (256, 256), dtype=np.uint8)
    return encode(noise, "PNG")


@trial(
    "F2",
    f"a version that fails on bright films, {ROUNDS} times {ENGINE_FAILURES_TO_FALL_BACK} of them in a row",
    target="every film answered with 200, the version before it in use after the last, every time",
    sabotage="there is no version to fall back to",
)
def fail_at_work(folder: Path, broken: bool) -> Finding:
    """Promote the fragile one again after each round."""
    root = folder / "registry"
    sound, fragile = make_bundle(root, "1.0.0"), make_fragile(root, "2.0.0")
    make_registry(root, sound, fragile, production=fragile.name)
    wrong: list[str] = []
    rounds = ROUNDS if not broken else 2
    with sabotaged("no-fallback" if broken else None), serving(folder, "--registry", str(root)) as server:
        for number in range(rounds):
            force_production(root, fragile.name)
            if not wait_until(lambda: _in_use(server) == (fragile.name, False), timeout_s=30):
                wrong.append(f"round {number}: {_in_use(server)} in use before it")
            before = server.predict(grey_png(100))
            answers = [server.predict(grey_png(210)) for _ in range(ENGINE_FAILURES_TO_FALL_BACK)]
            bad = [answer.status for answer in answers if answer.status != 200]
            if bad or {answer.json()["model"]["name"] for answer in answers} != {sound.name}:
                wrong.append(f"round {number}: bright films answered {[answer.status for answer in answers]}")
            after = server.predict(grey_png(100))
            names = [one.json().get("model", {}).get("name") for one in (before, after)]
            if names != [fragile.name, sound.name]:
                wrong.append(f"round {number}: {names} before and after")
    return Finding(
        rounds * ENGINE_FAILURES_TO_FALL_BACK,
        not wrong,
        f"{len(wrong)} of {rounds} rounds wrong{': ' + wrong[0] if wrong else ''}",
    )


def _in_use(server: Server) -> tuple[str | None, bool]:
    health = server.get("/health").json()
    return health["model"], health["fallback"]


@trial(
    "F3",
    f"both versions bad, nothing shipped: at a start, watched for {QUIET_S:.0f} s; then a good one promoted",
    target="live 200, ready 503, films 503 not_ready with Retry-After, the same process throughout;"
    " the good one"
    f" answers within {SETTLED_S:.0f} s",
    sabotage="health says 200 whatever it found",
    alone=True,
)
def every_version_bad(folder: Path, broken: bool) -> Finding:
    """Ask twice a second."""
    root = folder / "registry"
    bad = [make_bundle(root, f"1.{minor}.0") for minor in range(2)]
    make_registry(root, *bad, production=bad[-1].name)
    for bundle in bad:
        flip(bundle / GRAPH_FILE, 1_600)
    return _watch_unready(folder, root, broken)


@trial(
    "F4",
    f"an empty registry, nothing shipped, watched for {QUIET_S:.0f} s; then a first version promoted",
    target="live 200, ready 503, films 503 not_ready, the same process throughout; the first version answers"
    f" within {SETTLED_S:.0f} s",
    sabotage="health says 200 whatever it found",
    alone=True,
)
def empty_registry(folder: Path, broken: bool) -> Finding:
    """Ask twice a second."""
    root = folder / "registry"
    root.mkdir()
    return _watch_unready(folder, root, broken)


def _watch_unready(folder: Path, root: Path, broken: bool) -> Finding:
    wrong: list[str] = []
    asked = 0
    with (
        sabotaged("ready-anyway" if broken else None),
        serving(folder, "--registry", str(root), environment=NOTHING_SHIPPED) as server,
    ):
        until = time.monotonic() + (QUIET_S if not broken else 2)
        while time.monotonic() < until:
            film = server.predict(real_png(256))
            found = (server.get("/health/live").status, server.get("/health/ready").status,
                     film.status, film.code, film.headers.get("retry-after", "").isdigit())  # fmt: skip
            asked += 1
            if found != (200, 503, 503, "not_ready", True):
                wrong.append(str(found))
            time.sleep(0.5)
        if not server.is_running or server.output().count(b"listening on") != 1:
            wrong.append("it was restarted")
        good = make_bundle(root, "3.0.0")
        force_production(root, good.name)
        began = time.monotonic()
        wait_until(lambda: server.predict(real_png(256)).status == 200, timeout_s=30)
        taken = time.monotonic() - began
    return Finding(
        asked,
        not wrong and taken <= SETTLED_S,
        f"{len(wrong)} of {asked} looks wrong{': ' + wrong[0] if wrong else ''}; a good version"
        " answered after"
        f" {taken:.1f} s",
    )


@trial(
    "F5",
    "every file of the bundle in use damaged or removed under a running service, then"
    f" {FILMS_AFTER} films and a"
    " restart",
    target="every film answered by the version in memory; after the restart by the version before it",
    sabotage="the bundle is read again for each film",
)
def damage_in_use(folder: Path, broken: bool) -> Finding:
    """Damage one file after another, with films between."""
    root = folder / "registry"
    first, second = make_bundle(root, "1.0.0"), make_bundle(root, "1.1.0", offset=1.0)
    make_registry(root, first, second, production=second.name)
    answered, count = 0, 0
    with sabotaged("read-each-time" if broken else None), serving(folder, "--registry", str(root)) as server:
        files = sorted(second.iterdir())
        for number, file in enumerate(files):
            flip(file, 77) if number % 2 == 0 or file.name == WEIGHTS_FILE else file.unlink()
            for _ in range(FILMS_AFTER // len(files)):
                answer = server.predict(real_png(256))
                count += 1
                answered += answer.status == 200 and answer.json()["model"]["name"] == second.name
        server.kill()
        server.start()
        restarted = _in_use(server)
    return Finding(
        count,
        answered == count and restarted == (first.name, True),
        f"{answered} of {count} answered by the version in memory; after the restart {restarted[0]},"
        f" fallback {restarted[1]}",
    )


@trial(
    "F6",
    f"{SEQUENCES} random sequences of versions that do not open, fail at work, recover, and of moved aliases",
    target="a version that failed is never opened or asked again before the alias moves; none is"
    " opened twice",
    sabotage="failures are forgotten",
)
def never_loop(folder: Path, broken: bool) -> Finding:
    """Drive the choice of models with engines that fail as the dice say."""
    if broken:
        models_in_use.ModelsInUse.__init__ = _forgetful(models_in_use.ModelsInUse.__init__)  # type: ignore[method-assign]
    from tests.serving.fake_engine import BROKEN, FAILING, GOOD, FakeEngine, write_fake_bundle
    from tests.serving.test_models_in_use import Source

    wrong: list[str] = []
    opened_all = 0
    for number in range(SEQUENCES):
        dice = random.Random(f"{SEED}-{number}")
        root = folder / str(number)
        names = [f"fake_v1.{minor}.0_20260504" for minor in range(4)]
        for name in names:
            write_fake_bundle(root, name, dice.choice([GOOD, GOOD, BROKEN, FAILING]))
        source = Source(root, *names)
        since_move: list[str] = []
        engines: list[FakeEngine] = []
        gone: set[str] = set()

        def open_engine(path: Path, since_move: list[str] = since_move, engines: list[FakeEngine] = engines,
                        gone: set[str] = gone, number: int = number) -> FakeEngine:  # fmt: skip
            since_move.append(path.name)
            if path.name in gone:
                wrong.append(f"seed {SEED}-{number}: {path.name} opened again after it failed")
            try:
                engine = FakeEngine(path)
            except Exception:
                gone.add(path.name)
                raise
            engines.append(engine)
            return engine

        models = models_in_use.ModelsInUse(source, open_engine, clock=lambda: 0.0)  # type: ignore[arg-type]
        models.open()
        for _ in range(60):
            before = models.state.name
            roll = dice.random()
            if roll < 0.75:
                with contextlib.suppress(EngineFailed, Unavailable):
                    models.predict(b"film")
            elif roll < 0.9 and engines:
                dice.choice(engines).kind = dice.choice([GOOD, FAILING])
            else:
                dice.shuffle(names)
                source.move(*names)
                since_move.clear()
                gone.clear()
                models.look()
                continue
            models.look()
            if before is not None and models.state.name != before:
                gone.add(before)
            if models.state.name in gone:
                wrong.append(f"seed {SEED}-{number}: {models.state.name} in use again after it failed")
            if len(since_move) != len(set(since_move)):
                wrong.append(f"seed {SEED}-{number}: opened {since_move}")
                break
        opened_all += len(since_move)
        models.close()
        if any(not engine.is_closed for engine in engines):
            wrong.append(f"seed {SEED}-{number}: an engine was left open")
    return Finding(SEQUENCES, not wrong, f"{len(wrong)} complaints{': ' + wrong[0] if wrong else ''}")


class _Sieve(dict[str, str]):
    def __setitem__(self, name: str, reason: str) -> None:
        del name, reason


def _forgetful(real: object) -> object:
    def made(self: models_in_use.ModelsInUse, *arguments: object, **options: object) -> None:
        real(self, *arguments, **options)  # type: ignore[operator]
        self._failed = _Sieve()

    return made
