"""Multipart bodies written by hand, so that a test decides about every byte."""

from dataclasses import dataclass

BOUNDARY = "hilumtestboundary7MA4YWxkTrZu0gW"


@dataclass(frozen=True)
class Part:
    """One part of a form."""

    data: bytes
    name: str = "file"
    filename: str | None = "film.png"
    content_type: str | None = "application/octet-stream"
    headers: tuple[tuple[str, str], ...] = ()


def form(*parts: Part, boundary: str = BOUNDARY) -> tuple[str, bytes]:
    """Return the Content-Type and the body."""
    body = b""
    for part in parts:
        disposition = f'form-data; name="{part.name}"'
        if part.filename is not None:
            disposition += f'; filename="{part.filename}"'
        lines = [f"--{boundary}", f"Content-Disposition: {disposition}"]
        if part.content_type is not None:
            lines.append(f"Content-Type: {part.content_type}")
        lines += [f"{key}: {value}" for key, value in part.headers]
        body += "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape") + part.data + b"\r\n"
    return f"multipart/form-data; boundary={boundary}", body + f"--{boundary}--\r\n".encode()


def one_file(data: bytes, **changes: str) -> tuple[str, bytes]:
    """Return the form of `POST /predict`."""
    return form(Part(data, **changes))


def many_files(*films: bytes) -> tuple[str, bytes]:
    """Return the form of `POST /predict/batch`."""
    return form(*(Part(film, name="files") for film in films))
