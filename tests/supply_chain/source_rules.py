"""What no line of the product may do, by its syntax tree: run data as code, make a decoder lenient."""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "src" / "hilum"
UNPICKLING_MODULES = frozenset({"cPickle", "dill", "cloudpickle", "shelve", "marshal", "joblib", "skops"})
UNPICKLING_CALLS = frozenset({"read_pickle", "to_pickle"})
PICKLE_NAMES = frozenset({"UnpicklingError"})
"""All that may be taken out of pickle: the name of an error that is to be caught."""
CHECKPOINT_READERS = frozenset({"model/backbone.py", "model/checkpoint.py"})
"""Where torch.load may stand, with weights_only=True: training artefacts, never what is served."""
RUN_AS_CODE = frozenset({"eval", "exec", "compile", "__import__"})
SHELLS = frozenset(
    {"os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput", "pty.spawn"}
)
LENIENT_SETTINGS = frozenset({"MAX_IMAGE_PIXELS", "LOAD_TRUNCATED_IMAGES"})
OPENCV_READERS = frozenset({"imread", "imreadmulti", "imdecodemulti", "VideoCapture", "FileStorage"})
"""OpenCV brings decoders of its own, among them an OpenJPEG with a known fault: no file is given to it.
`imdecode` is left: what a film becomes as JPEG is read from what was just encoded."""
OPENCV_DECODES_ITS_OWN = frozenset({"imaging/degrade.py"})


def find_breaches(source: str, *, path: str = "") -> list[str]:
    """Return every breach of a rule, as `line: what`; `path` is that of the module within the package."""
    found = []
    for node in ast.walk(ast.parse(source)):
        for rule in RULES:
            found += [f"{getattr(node, 'lineno', 0)}: {what}" for what in rule(node, path)]
    return found


def find_breaches_below(folder: Path = SOURCES) -> tuple[int, list[str]]:
    """Return how many modules a package has, and their breaches."""
    paths = sorted(folder.rglob("*.py"))
    found = []
    for path in paths:
        name = path.relative_to(folder).as_posix()
        found += [f"{name}:{breach}" for breach in find_breaches(path.read_text(), path=name)]
    return len(paths), found


def _option(call: ast.Call, name: str) -> ast.expr | None:
    return next((word.value for word in call.keywords if word.arg == name), None)


def _is(node: ast.expr | None, value: object) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


def _called(node: ast.AST) -> str:
    return ast.unparse(node.func) if isinstance(node, ast.Call) else ""


def _unpickles(node: ast.AST, _: str) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (
            f"import {one.name}" for one in node.names if one.name.split(".")[0] in UNPICKLING_MODULES
        )
    if isinstance(node, ast.ImportFrom):
        module = (node.module or "").split(".")[0]
        names = {one.name for one in node.names}
        if module in UNPICKLING_MODULES or (module == "pickle" and names - PICKLE_NAMES):
            yield f"from {node.module} import {', '.join(sorted(names))}"
    if isinstance(node, ast.Attribute):
        is_pickles = isinstance(node.value, ast.Name) and node.value.id == "pickle"
        if (is_pickles and node.attr not in PICKLE_NAMES) or node.attr in UNPICKLING_CALLS:
            yield ast.unparse(node)
    if isinstance(node, ast.Call) and (allowed := _option(node, "allow_pickle")) and not _is(allowed, False):
        yield "allow_pickle"


def _renames_pickle(node: ast.AST, _: str) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (f"import {one.name} as" for one in node.names if one.name == "pickle" and one.asname)


def _loads_anything_with_torch(node: ast.AST, path: str) -> Iterator[str]:
    is_taken_out = isinstance(node, ast.ImportFrom) and node.module in {"torch", "torch.serialization"}
    if is_taken_out and any(one.name == "load" for one in node.names):
        yield "from torch import load"
    if _called(node) in {"torch.load", "torch.jit.load", "torch.package.PackageImporter"}:
        assert isinstance(node, ast.Call)
        if path not in CHECKPOINT_READERS or not _is(_option(node, "weights_only"), True):
            yield f"{_called(node)} without weights_only=True, or outside {sorted(CHECKPOINT_READERS)}"


def _runs_text(node: ast.AST, _: str) -> Iterator[str]:
    if _called(node) in RUN_AS_CODE or _called(node) in {f"builtins.{name}" for name in RUN_AS_CODE}:
        yield _called(node)


def _uses_a_shell(node: ast.AST, _: str) -> Iterator[str]:
    if _called(node) in SHELLS:
        yield _called(node)
    if isinstance(node, ast.Call) and (shell := _option(node, "shell")) and not _is(shell, False):
        yield "shell="


def _reads_yaml_into_objects(node: ast.AST, _: str) -> Iterator[str]:
    if _called(node) in {f"yaml.{name}{all_}" for name in ("load", "unsafe_load", "full_load")
                         for all_ in ("", "_all")}:  # fmt: skip
        yield _called(node)
    if isinstance(node, ast.ImportFrom) and node.module == "yaml":
        yield from (f"from yaml import {one.name}" for one in node.names if one.name.endswith("load"))


def _makes_pillow_lenient(node: ast.AST, _: str) -> Iterator[str]:
    name = {ast.Attribute: "attr", ast.Name: "id", ast.Constant: "value", ast.keyword: "arg"}.get(type(node))
    if name and getattr(node, name) in LENIENT_SETTINGS:
        yield str(getattr(node, name))


def _opens_any_picture(node: ast.AST, _: str) -> Iterator[str]:
    if isinstance(node, ast.Call) and _called(node) in {"Image.open", "PIL.Image.open"}:
        formats = _option(node, "formats")
        if formats is None or _is(formats, None):
            yield "Image.open without formats="
    if isinstance(node, ast.ImportFrom) and node.module == "PIL.Image":
        yield from ("from PIL.Image import open" for one in node.names if one.name == "open")


def _gives_opencv_a_file(node: ast.AST, path: str) -> Iterator[str]:
    name = node.attr if isinstance(node, ast.Attribute) else ""
    if name in OPENCV_READERS or (name == "imdecode" and path not in OPENCV_DECODES_ITS_OWN):
        yield ast.unparse(node)


RULES: tuple[Callable[[ast.AST, str], Iterator[str]], ...] = (
    _unpickles,
    _renames_pickle,
    _loads_anything_with_torch,
    _runs_text,
    _uses_a_shell,
    _reads_yaml_into_objects,
    _makes_pillow_lenient,
    _opens_any_picture,
    _gives_opencv_a_file,
)

FORBIDDEN = (
    "import dill", "import joblib.numpy_pickle", "from pickle import loads", "from shelve import open",
    "import pickle\npickle.loads(data)", "import pickle\npickle.Unpickler(file).load()",
    "import pickle as p\np.loads(data)", "import pandas as pd\npd.read_pickle(path)", "table.to_pickle(path)",
    "np.load(file, allow_pickle=True)", "np.load(file, allow_pickle=anything)", "torch.load(path)",
    "torch.load(path, weights_only=False)", "torch.load(path, weights_only=wanted)",
    "torch.load(path, weights_only=True)", "from torch import load", "torch.jit.load(path)", "eval(text)",
    "exec(text)", "compile(text, '', 'exec')", "__import__(name)", "os.system(text)", "os.popen(text)",
    "subprocess.run(text, shell=True)", "subprocess.Popen(text, shell=wanted)", "subprocess.getoutput(text)",
    "yaml.load(text)", "yaml.load(text, Loader=yaml.SafeLoader)", "yaml.unsafe_load(text)",
    "yaml.full_load_all(text)", "from yaml import unsafe_load", "Image.MAX_IMAGE_PIXELS = None",
    "setattr(Image, 'MAX_IMAGE_PIXELS', 9)", "ImageFile.LOAD_TRUNCATED_IMAGES = True", "Image.open(path)",
    "PIL.Image.open(path)", "Image.open(path, formats=None)", "from PIL.Image import open",
    "cv2.imread(path)", "cv2.imdecode(data, 0)", "cv2.VideoCapture(path)",
)  # fmt: skip
"""Each must be found wherever it stands."""
ALLOWED = (
    "import pickle\ntry:\n    f()\nexcept pickle.UnpicklingError:\n    pass",
    "from pickle import UnpicklingError",
    "np.load(file, allow_pickle=False)", "np.load(file)", "re.compile(text)", "network.eval()",
    "subprocess.run(words)", "subprocess.run(words, shell=False)", "yaml.safe_load(text)", "json.load(file)",
    "Image.open(path, formats=('PNG',))", "path.open()", "cv2.imencode('.png', film)", "journal.load(1)",
)  # fmt: skip
