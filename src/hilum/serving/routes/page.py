"""GET / and /static/*: the page that clinicians use, from files of this package.

Files are read once at the start: no path of a request ever reaches the file system.
"""

import mimetypes
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Annotated, Any

from fastapi import APIRouter, Path, Response

from hilum.serving.refusals import NotFound
from hilum.serving.routes.dependencies import problems

router = APIRouter(tags=["page"])
_FOLDER = "web"
_INDEX = "index.html"
_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".html": "text/html"}
_FILE: dict[int | str, dict[str, Any]] = {
    200: {"description": "A file.", "content": {kind: {} for kind in _TYPES.values()}}
}


def read_files() -> dict[str, tuple[bytes, str]]:
    """Return content and type of every file of the page by its path."""
    root = resources.files("hilum.serving") / _FOLDER
    return dict(_walk(root, "")) if root.is_dir() else {}


def _walk(folder: Traversable, prefix: str) -> list[tuple[str, tuple[bytes, str]]]:
    found: list[tuple[str, tuple[bytes, str]]] = []
    for entry in folder.iterdir():
        name = prefix + entry.name
        if entry.is_dir():
            found += _walk(entry, f"{name}/")
        else:
            found.append((name, (entry.read_bytes(), _type_of(name))))
    return found


def _type_of(name: str) -> str:
    suffix = name[name.rfind(".") :] if "." in name else ""
    return _TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"


_FILES = read_files()


@router.get("/", response_class=Response, responses=_FILE)
@router.head("/", include_in_schema=False)
async def page() -> Response:
    """Return the page."""
    return _answer(_INDEX)


@router.get("/static/{path:path}", response_class=Response, responses={**_FILE, **problems(404)})
@router.head("/static/{path:path}", include_in_schema=False)
async def static(path: Annotated[str, Path(examples=["main.js"])]) -> Response:
    """Return a file of the page."""
    return _answer(path)


def _answer(name: str) -> Response:
    found = _FILES.get(name)
    if found is None:
        raise NotFound
    return Response(found[0], media_type=found[1])
