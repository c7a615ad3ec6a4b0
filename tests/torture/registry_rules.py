"""Group E: what pruning and rolling back may never do, over generated histories; names that are refused."""

import random
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from hilum.domain.errors import CheckpointError, HilumError
from hilum.registry import durable, integrity, prune, store, versions
from hilum.registry.bundle import BUNDLE_FILE
from hilum.registry.history import HISTORY_FILE, History
from hilum.registry.store import ModelStore
from tests.registry.make_bundles import make_bundle

from .trial import Finding, trial

HISTORIES, STEPS = 2_000, 12
SEED = 5
MEMORY = Path("/dev/shm")  # noqa: S108 - nothing here is about what a disk keeps


@trial(
    "E5",
    f"generated histories of up to {STEPS} releases, promotions, rollbacks, damages and prunings",
    target="pruning never removes the active version or the whole ones before it that are to be kept;"
    " rollback undoes a promotion, every time",
    sabotage="pruning keeps one version fewer than it is told",
)
def generate_histories(folder: Path, broken: bool) -> Finding:
    """Run each history against a model of a registry that is a list."""
    durable.os.fsync = lambda _: None  # type: ignore[attr-defined]
    if broken:
        choose = prune.choose_prunable
        store.choose_prunable = lambda *names, keep, is_whole: choose(  # type: ignore[assignment]
            *names, keep=max(0, keep - 1), is_whole=is_whole
        )
    wrong: list[str] = []
    pruned = undone = 0
    count = HISTORIES if not broken else 200
    with TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else folder, prefix="hilum-torture-E5-") as place:
        stock = _make_stock(Path(place))
        for number in range(count):
            world = World(Path(place) / "registry", stock, random.Random(f"{SEED}-{number}"))
            try:
                for _ in range(world.dice.randint(4, STEPS)):
                    world.step()
            except AssertionError as error:
                wrong.append(f"seed {SEED}-{number}: {error}")
            pruned, undone = pruned + world.pruned, undone + world.undone
            shutil.rmtree(world.root)
    return Finding(
        count,
        not wrong and pruned > count // 10 and undone > count // 10,
        f"{len(wrong)} histories wrong{': ' + wrong[0] if wrong else ''}; {pruned} bundles pruned, {undone}"
        " promotions undone",
    )


def _make_stock(place: Path) -> list[Path]:
    root = place / "stock"
    return [root / make_bundle(root, f"1.{minor}.0") for minor in range(6)]


class World:
    """A registry, and what must be true of it as lists of names."""

    def __init__(self, root: Path, stock: list[Path], dice: random.Random) -> None:
        self.root, self.dice, self._stock = root, dice, stock
        root.mkdir()
        self._store = ModelStore(root)
        self._stack: list[str] = []  # active first, then those before it
        self._damaged: set[str] = set()
        self.pruned = self.undone = 0
        for bundle in stock[:2]:
            shutil.copytree(bundle, root / bundle.name)

    def step(self) -> None:
        """Do one thing at random and look."""
        self.dice.choice([self._release, self._promote, self._promote, self._undo, self._roll_back,
                          self._damage, self._prune, self._prune])()  # fmt: skip
        assert self._store.production() == (self._stack[0] if self._stack else None), "another one is active"
        assert not self._store.verify_history(), "the history is broken"

    def _here(self) -> list[str]:
        return sorted(path.name for path in self.root.iterdir() if path.name.startswith("net_"))

    def _whole(self) -> list[str]:
        return [name for name in self._here() if name not in self._damaged]

    def _release(self) -> None:
        bundle = self.dice.choice(self._stock)
        if not (self.root / bundle.name).exists():
            shutil.copytree(bundle, self.root / bundle.name)
            self._damaged.discard(bundle.name)

    def _promote(self) -> None:
        others = [name for name in self._whole() if name not in self._stack[:1]]
        if others:
            name = self.dice.choice(others)
            assert self._store.promote(name, by="ada", reason="next", override="a stub").promoted
            self._stack.insert(0, name)

    def _undo(self) -> None:
        """Promote and roll back: as before."""
        if not self._stack or self._stack[0] in self._damaged:
            return
        before = self._previous()
        stack = list(self._stack)
        self._promote()
        if self._stack == stack:
            return
        self._store.rollback(by="ada", reason="back")
        self._stack = stack
        self.undone += 1
        assert (self._store.production(), self._previous()) == (stack[0], before), "rollback did not undo it"

    def _previous(self) -> tuple[str, ...]:
        from hilum.registry.alias import read_alias

        alias = read_alias(self.root, History(self.root / HISTORY_FILE))
        return alias.previous if alias else ()

    def _roll_back(self) -> None:
        target = next(
            (name for name in self._stack[1:] if name != self._stack[0] and name in self._whole()), None
        )
        try:
            found = self._store.rollback(by="ada", reason="back")
        except CheckpointError:
            assert target is None, f"no way back to {target}"
            return
        assert found == target, f"rolled back to {found}, not {target}"
        self._stack = self._stack[self._stack.index(target, 1) :]

    def _damage(self) -> None:
        names = [name for name in self._whole() if name not in self._stack[:1]]
        if names and self.dice.random() < 0.5:
            name = self.dice.choice(names)
            with (self.root / name / BUNDLE_FILE).open("ab") as file:
                file.write(b" ")
            self._damaged.add(name)

    def _prune(self) -> None:
        keep, before = self.dice.randint(0, 3), self._here()
        whole = [name for name in dict.fromkeys(self._stack[1:]) if name in self._whole()]
        kept = [name for name in whole if name not in self._stack[:1]][:keep]
        removed = self._store.prune(keep, by="ada", reason="room")
        self.pruned += len(removed)
        assert set(self._here()) == set(before) - set(removed), "more went than was told"
        lost = {*self._stack[:1], *kept} & set(removed)
        assert not lost, f"keep {keep} removed {lost}"
        self._stack = [name for name in self._stack if name not in removed]
        self._damaged -= set(removed)


GOOD = "net_v1.0.0_20260504"
HOSTILE = (
    "../net_v9.0.0_20260504",
    "..",
    ".",
    "",
    "/etc",
    "{absolute}",
    f"{GOOD}/../../net_v9.0.0_20260504",
    f"./{GOOD}",
    f"{GOOD}/",
    f"{GOOD}\0",
    f"{GOOD}\n",
    f" {GOOD}",
    "net_v1.0.0_20260504".replace("e", "\u0435"),  # a Cyrillic letter that looks the same
    "net_v1.0.0_2026050\u0664",  # an Arabic digit, which \d takes
    "net_v\uff11.0.0_20260504",  # a wide digit
    "net\u202e_v1.0.0_20260504",  # turns the direction of writing
    "n" * 256 + "_v1.0.0_20260504",
    "net_v01.0.0_20260504",
    "net_v1.0.0_20261399",
    "link_v1.0.0_20260504",
    "aliases/production.json",
    "production.json",
    "net_v1.0.0_20260504;rm -rf .",
    "$(id)_v1.0.0_20260504",
    "..\\net_v9.0.0_20260504",
)


@trial(
    "E6",
    f"{len(HOSTILE)} hostile names (paths, absolute, a link, NUL, look-alikes, 256 letters)"
    " promoted, resolved"
    " and verified, while a whole bundle lies outside the registry",
    target="every one refused, nothing moved or read outside",
    sabotage="any text is a name",
)
def refuse_names(folder: Path, broken: bool) -> Finding:
    """Ask for each name in each way."""
    root = folder / "registry"
    good = make_bundle(root, "1.0.0")
    assert good == GOOD
    make_bundle(folder, "9.0.0")
    (root / "link_v1.0.0_20260504").symlink_to(folder / "net_v9.0.0_20260504")
    registry = ModelStore(root)
    registry.promote(good, by="ada", reason="first")
    absolute = str(folder / "net_v9.0.0_20260504")
    if broken:
        real = versions.parse_name
        fallen: dict[str, object] = {"parse_name": lambda _: real(GOOD)}
        for module in (store, integrity):
            vars(module).update(fallen)
    taken = []
    for name in HOSTILE:
        text = absolute if name == "{absolute}" else name
        for way in (lambda text=text: registry.promote(text, by="eve", reason="mine", override="because"),
                    lambda text=text: registry.resolve(text)):  # fmt: skip
            try:
                way()
            except HilumError:
                continue
            except Exception as error:
                taken.append(f"{name!r}: {type(error).__name__}")
                continue
            taken.append(f"{name!r} was taken")
        if not registry.verify(text):
            taken.append(f"{name!r} is called whole")
    moved = registry.production() != good
    return Finding(
        3 * len(HOSTILE),
        not taken and not moved,
        f"{len(taken)} of {3 * len(HOSTILE)} not refused{': ' + taken[0] if taken else ''}, alias"
        f" {'moved' if moved else 'where it was'}",
    )
