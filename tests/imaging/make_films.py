"""Small test images of every format and mode, all from one known array, made in memory."""

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image
from pydicom import uid
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.sequence import Sequence

from hilum.imaging.dicom_file import labelled, meta_end

HEIGHT, WIDTH = 40, 56
PATIENT = "ROENTGEN^ANNA"  # planted: must never turn up in a message


def film() -> NDArray[np.uint8]:
    """Return the known picture, uint8 (40, 56): 20 + 2 row + 2 column, so 20 to 208."""
    rows, columns = np.arange(HEIGHT), np.arange(WIDTH)
    return (20 + 2 * rows[:, None] + 2 * columns[None, :]).astype(np.uint8)


def colour() -> NDArray[np.uint8]:
    """Return a smooth colour picture, uint8 (40, 56, 3)."""
    grey = film()
    return np.stack([grey, 255 - grey, np.full_like(grey, 90)], axis=2)


def luma(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """ITU-R 601 luma by its definition, uint8 (H, W)."""
    return np.rint(rgb @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)


def encode(image: Image.Image | NDArray[Any], file_format: str, **options: Any) -> bytes:
    """Encode with Pillow."""
    if not isinstance(image, Image.Image):
        image = Image.fromarray(image)
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def rotated(pixels: NDArray[np.uint8], orientation: int, file_format: str, **options: Any) -> bytes:
    """Encode pixels as a camera held in the given EXIF orientation would have stored them."""
    inverse = {5: 5, 6: 8, 7: 7, 8: 6}.get(orientation, orientation)
    methods = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }  # what brings a stored picture upright
    image = Image.fromarray(pixels)
    if inverse != 1:
        image = image.transpose(methods[inverse])
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encode(image, file_format, exif=exif, **options)


def chunk(kind: bytes, data: bytes) -> bytes:
    """Build one PNG chunk."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_header(width: int, height: int) -> bytes:
    """Build a PNG that ends after its IHDR."""
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))


def tiff(pixels: NDArray[Any], *, photometric: int = 1) -> bytes:
    """Build an uncompressed little-endian grey TIFF of any depth (Pillow cannot write white-is-zero)."""
    kind = {"u": 1, "i": 2, "f": 3}[pixels.dtype.kind]
    tags = [
        (256, 3, pixels.shape[1]),
        (257, 3, pixels.shape[0]),
        (258, 3, 8 * pixels.dtype.itemsize),
        (259, 3, 1),
        (262, 3, photometric),
        (273, 4, 8),
        (277, 3, 1),
        (278, 3, pixels.shape[0]),
        (279, 4, pixels.nbytes),
        (339, 3, kind),
    ]
    entries = b"".join(struct.pack("<HHII", tag, field, 1, value) for tag, field, value in tags)
    directory = struct.pack("<H", len(tags)) + entries + struct.pack("<I", 0)
    return b"II*\x00" + struct.pack("<I", 8 + pixels.nbytes) + pixels.tobytes() + directory


def tiff_of(
    pixels: NDArray[Any],
    *,
    order: str = "<",
    is_big: bool = False,
    rows_per_strip: int | None = None,
    tile: int | None = None,
    pack: Callable[[bytes], bytes] = bytes,
    fields: dict[int, int | tuple[int, ...]] | None = None,
) -> bytes:
    """Build a TIFF or BigTIFF of samples (H, W, S), or (S, H, W) with PlanarConfiguration 2 in `fields`.

    In strips or square tiles, each piece packed. A field of None is left out.
    """
    fields = dict(fields or {})
    is_planar = fields.get(284) == 2
    planes = list(pixels) if is_planar else [pixels]
    count, (height, width) = (
        (len(pixels), pixels.shape[1:]) if is_planar else (pixels.shape[2], pixels.shape[:2])
    )
    pieces = []
    for plane in planes:
        stored = plane.astype(plane.dtype.newbyteorder(order))
        if tile:
            below, right = -height % tile, -width % tile
            padded = np.pad(stored, ((0, below), (0, right)) + ((0, 0),) * (stored.ndim - 2))
            pieces += [
                padded[top : top + tile, left : left + tile].tobytes()
                for top in range(0, height, tile)
                for left in range(0, width, tile)
            ]
        else:
            rows = rows_per_strip or height
            pieces += [stored[top : top + rows].tobytes() for top in range(0, height, rows)]
    packed = [pack(piece) for piece in pieces]
    start = 16
    offsets = [start + sum(map(len, packed[:index])) for index in range(len(packed))]
    bits, kind = 8 * pixels.dtype.itemsize, {"u": 1, "i": 2, "f": 3}[pixels.dtype.kind]
    numbers: dict[int, Any] = {
        256: width, 257: height, 258: (bits,) * count, 259: 1, 262: 2 if count >= 3 else 1, 277: count,
        339: (kind,) * count,
    }  # fmt: skip
    if tile:
        numbers |= {322: tile, 323: tile, 324: tuple(offsets), 325: tuple(map(len, packed))}
    else:
        numbers |= {278: rows_per_strip or height, 273: tuple(offsets), 279: tuple(map(len, packed))}
    numbers |= fields
    return tiff_file(
        b"".join(packed),
        {tag: value for tag, value in numbers.items() if value is not None},
        order,
        is_big=is_big,
    )


def tiff_file(body: bytes, numbers: dict[int, Any], order: str = "<", *, is_big: bool = False) -> bytes:
    """Put a directory of whole numbers behind a body that starts at byte 16."""
    wide, inline = ("Q", 8) if is_big else ("I", 4)
    start = 16 + len(body)
    behind = start + (8 + 20 * len(numbers) + 8 if is_big else 2 + 12 * len(numbers) + 4)
    entries, arrays = b"", b""
    for tag, value in sorted(numbers.items()):
        values = value if isinstance(value, tuple) else (value,)
        letter, kind = ("H", 3) if max(values) < 65_536 and tag not in {273, 279, 324, 325} else ("I", 4)
        content = struct.pack(f"{order}{len(values)}{letter}", *values)
        if len(content) > inline:
            place = struct.pack(f"{order}{wide}", behind + len(arrays))
            arrays += content
        else:
            place = content.ljust(inline, b"\0")
        entries += struct.pack(f"{order}HH{wide}", tag, kind, len(values)) + place
    mark = b"II" if order == "<" else b"MM"
    if is_big:
        head = mark + struct.pack(f"{order}HHHQ", 43, 8, 0, start)
        directory = struct.pack(f"{order}Q", len(numbers)) + entries + bytes(8)
    else:
        head = mark + struct.pack(f"{order}HI", 42, start) + bytes(8)
        directory = struct.pack(f"{order}H", len(numbers)) + entries + bytes(4)
    return head + body + directory + arrays


def dataset(
    stored: NDArray[Any], *, syntax: str = uid.ExplicitVRLittleEndian, **attributes: Any
) -> FileDataset:
    """Build a DICOM data set around stored values (H, W) or (H, W, 3); an attribute of None is left out."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = uid.DigitalXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    meta.TransferSyntaxUID = uid.UID(syntax)
    ds = FileDataset(
        "",
        {},
        file_meta=meta,
        preamble=bytes(128),
        is_implicit_VR=syntax == uid.ImplicitVRLittleEndian,
        is_little_endian=syntax != uid.ExplicitVRBigEndian,
    )
    ds.PatientName, ds.PatientID = PATIENT, "MRN-4711"
    ds.Rows, ds.Columns = stored.shape[:2]
    ds.SamplesPerPixel = 1 if stored.ndim == 2 else 3
    ds.PhotometricInterpretation = "MONOCHROME2" if stored.ndim == 2 else "RGB"
    if stored.ndim == 3:
        ds.PlanarConfiguration = 0
    ds.BitsAllocated = 8 * stored.dtype.itemsize
    ds.BitsStored = ds.BitsAllocated
    ds.HighBit = ds.BitsStored - 1
    ds.PixelRepresentation = int(stored.dtype.kind == "i")
    order = ">" if syntax == uid.ExplicitVRBigEndian else "<"
    ds.PixelData = np.ascontiguousarray(stored, dtype=stored.dtype.newbyteorder(order)).tobytes()
    ds["PixelData"].VR = "OW" if ds.BitsAllocated > 8 else "OB"
    for keyword, value in attributes.items():
        if value is None:
            delattr(ds, keyword)
        else:
            setattr(ds, keyword, value)
    if "BitsStored" in attributes and "HighBit" not in attributes:
        ds.HighBit = ds.BitsStored - 1
    return ds


def dicom(stored: NDArray[Any], *, syntax: str = uid.ExplicitVRLittleEndian, **attributes: Any) -> bytes:
    """Write a DICOM file in memory; see `dataset`."""
    return written(dataset(stored, syntax=syntax, **attributes))


def with_text(stored: NDArray[Any], **texts: str) -> bytes:
    """Write a DICOM file with any text in decimal attributes, which pydicom would not write itself."""
    ds = dataset(stored)
    tags = [tag_for_keyword(keyword) or 0 for keyword in texts]
    for tag, text in zip(tags, texts.values(), strict=True):
        ds.add_new(tag, "LO", text)
    data = written(ds)
    for tag in tags:
        head = struct.pack("<HH", tag >> 16, tag & 0xFFFF)
        data = data.replace(head + b"LO", head + b"DS")
    return data


def with_element(data: bytes, value: bytes, *, undefined_length: bool = False) -> bytes:
    """Put another value into the pixel data of an Explicit VR file; what followed it is lost."""
    start = data.index(b"\xe0\x7f\x10\x00") + 8
    return data[:start] + struct.pack("<I", 0xFFFFFFFF if undefined_length else len(value)) + value


def items(*fragments: bytes) -> bytes:
    """Build the items of encapsulated pixel data, without a delimiter at the end."""
    heads = (struct.pack("<HHI", 0xFFFE, 0xE000, len(fragment)) for fragment in fragments)
    return b"".join(head + fragment for head, fragment in zip(heads, fragments, strict=True))


def compressed(stored: NDArray[Any], syntax: str, **attributes: Any) -> bytes:
    """Write a DICOM file whose frame pydicom compressed (RLE, JPEG-LS, JPEG 2000)."""
    ds = dataset(stored, **attributes)
    ds.compress(uid.UID(syntax), generate_instance_uid=False)
    return written(ds)


def with_frame(frame: bytes, stored: NDArray[Any], syntax: str, **attributes: Any) -> bytes:
    """Write a DICOM file around a compressed frame given as it is, under any label."""
    ds = dataset(stored, syntax=uid.JPEG2000, **attributes)
    ds.PixelData = encapsulate([frame])
    ds["PixelData"].VR = "OB"
    return relabelled(written(ds), syntax)


def relabelled(data: bytes, syntax: str) -> bytes:
    """Put another transfer syntax before a data set that is left as it is."""
    return labelled(syntax, data[meta_end(data)[0] :])


def jpeg_frame(pixels: NDArray[np.uint8]) -> bytes:
    """Encode a grey baseline JPEG."""
    return bytes(
        simplejpeg.encode_jpeg(np.ascontiguousarray(pixels[:, :, None]), quality=95, colorspace="GRAY")
    )


def jpeg_dicom(pixels: NDArray[np.uint8], **attributes: Any) -> bytes:
    """Write a JPEG baseline DICOM file."""
    return with_frame(jpeg_frame(pixels), pixels, uid.JPEGBaseline8Bit, **attributes)


def written(ds: Dataset) -> bytes:
    """Serialise a data set."""
    buffer = io.BytesIO()
    ds.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def lossless_jpeg(
    stored: NDArray[Any], *, bits: int = 8, predictor: int = 1, restart_rows: int = 0, shift: int = 0
) -> bytes:
    """Encode (H, W) or (H, W, C) as JPEG Lossless, ITU-T T.81 annex H; every code has 5 bits."""
    planes = stored.reshape(*stored.shape[:2], -1).astype(int) >> shift
    height, width, count = planes.shape
    coded, pending = bytearray(), ""

    def flush() -> None:
        nonlocal pending
        padded = pending + "1" * (-len(pending) % 8)
        for at in range(0, len(padded), 8):
            value = int(padded[at : at + 8], 2)
            coded.extend(b"\xff\x00" if value == 0xFF else bytes([value]))
        pending = ""

    for row in range(height):
        is_first = row == 0 or (restart_rows and row % restart_rows == 0)
        if row and is_first:
            flush()
            coded.extend(bytes([0xFF, 0xD0 + (row // restart_rows - 1) % 8]))
        for column in range(width):
            for plane in planes.transpose(2, 0, 1):
                left, above = plane[row, column - 1], plane[row - 1, column]
                corner = plane[row - 1, column - 1]
                predicted = {
                    1: left, 2: above, 3: corner, 4: left + above - corner, 5: left + (above - corner) // 2,
                    6: above + (left - corner) // 2, 7: (left + above) // 2,
                }[predictor]  # fmt: skip
                if is_first:
                    predicted = left if column else 1 << (bits - shift - 1)
                elif column == 0:
                    predicted = above
                difference = (int(plane[row, column]) - int(predicted) + 32_768) % 65_536 - 32_768
                category = abs(difference).bit_length()
                pending += f"{category:05b}"
                if 0 < category < 16:
                    extra = difference if difference > 0 else difference + (1 << category) - 1
                    pending += f"{extra:0{category}b}"
    flush()

    def segment(marker: int, content: bytes) -> bytes:
        return struct.pack(">BBH", 0xFF, marker, 2 + len(content)) + content

    lengths = bytes([0, 0, 0, 0, 17, *[0] * 11])
    frame = struct.pack(">BHHB", bits, height, width, count)
    return b"".join(
        (
            b"\xff\xd8",
            segment(0xC4, b"\0" + lengths + bytes(range(17))),
            segment(0xC3, frame + b"".join(bytes([index + 1, 0x11, 0]) for index in range(count))),
            segment(0xDD, struct.pack(">H", restart_rows * width)) if restart_rows else b"",
            b"\xff"
            + segment(
                0xDA,
                bytes([count])
                + b"".join(bytes([index + 1, 0]) for index in range(count))
                + bytes([predictor, 0, shift]),
            ),
            bytes(coded),
            b"\xff\xd9",
        )
    )


def stream_of(stored: NDArray[Any], syntax: str, **attributes: Any) -> bytes:
    """Return the bare compressed stream that pydicom makes of a picture."""
    ds = dataset(stored, **attributes)
    ds.compress(uid.UID(syntax), generate_instance_uid=False)
    frame: bytes = get_frame(ds.PixelData, 0, number_of_frames=1)
    return frame.rstrip(b"\0") if frame.rstrip(b"\0").endswith(b"\xff\xd9") else frame


def lut_item(entries: int, first: int, bits: int, data: list[int] | bytes) -> Sequence:
    """Build a LUT sequence of one item."""
    item = Dataset()
    item.add_new(0x00283002, "US" if first >= 0 else "SS", [entries, first, bits])
    item.add_new(0x00283006, "OW" if isinstance(data, bytes) else "US", data)
    return Sequence([item])
