import io
import struct

import numpy as np
import pytest
import simplejpeg
from PIL import Image

from hilum.domain.errors import ImageTooLarge, UnreadableImage, UnsupportedCoding
from hilum.imaging.intake import read_radiograph

from .make_films import chunk, colour, encode, film, jpeg_frame, luma, rotated, tiff

GREY, RGB = film(), colour()
ALPHA = np.tile(np.array([0, 128, 255, 255], np.uint8), (40, 14))
ON_BLACK = np.rint(GREY * (ALPHA / 255.0)).astype(np.uint8)
BINARY = GREY > 100


def grey_alpha() -> Image.Image:
    return Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(ALPHA)])


def rgba() -> Image.Image:
    return Image.merge("RGBA", [*[Image.fromarray(GREY)] * 3, Image.fromarray(ALPHA)])


def palette() -> Image.Image:
    """Index i shows grey 255 - i."""
    image = Image.fromarray(255 - GREY).convert("P")
    image.putdata((255 - GREY).ravel().tolist())
    image.putpalette([value for index in range(256) for value in (255 - index,) * 3])
    return image


def cmyk() -> Image.Image:
    """No colour inks, black ink 255 - grey."""
    none = Image.new("L", (56, 40), 0)
    return Image.merge("CMYK", [none, none, none, Image.fromarray(255 - GREY)])


EXACT = {
    "png grey": (encode(GREY, "PNG"), GREY, 8, "MONOCHROME2"),
    "png interlace-free 1 bit": (encode(Image.fromarray(BINARY), "PNG"), BINARY * 255, 1, "MONOCHROME2"),
    "png rgb": (encode(RGB, "PNG"), luma(RGB), 8, "RGB"),
    "png rgba on black": (encode(rgba(), "PNG"), ON_BLACK, 8, "RGBA"),
    "png grey alpha on black": (encode(grey_alpha(), "PNG"), ON_BLACK, 8, "GREY_ALPHA"),
    "png palette": (encode(palette(), "PNG"), GREY, 8, "PALETTE"),
    "png key colour": (encode(GREY, "PNG", transparency=60), np.where(GREY == 60, 0, GREY), 8, "MONOCHROME2"),
    "png 16 bit": (encode(GREY.astype(np.uint16) * 257, "PNG"), GREY, 16, "MONOCHROME2"),
    "tiff grey": (encode(GREY, "TIFF"), GREY, 8, "MONOCHROME2"),
    "tiff lzw": (encode(GREY, "TIFF", compression="tiff_lzw"), GREY, 8, "MONOCHROME2"),
    "tiff deflate 16": (
        encode(GREY.astype(np.uint16) * 257, "TIFF", compression="tiff_adobe_deflate"),
        GREY,
        16,
        "MONOCHROME2",
    ),
    "tiff cmyk": (encode(cmyk(), "TIFF"), GREY, 8, "CMYK"),
    "tiff ycbcr": (encode(Image.fromarray(RGB).convert("YCbCr"), "TIFF"), luma(RGB), 8, "YCBCR"),
    "tiff 1 bit": (encode(Image.fromarray(BINARY), "TIFF"), BINARY * 255, 1, "MONOCHROME2"),
    "tiff white is zero": (tiff(255 - GREY, photometric=0), GREY, 8, "MONOCHROME2"),
    "tiff 16 bit white is zero": (
        tiff(65_535 - GREY.astype(np.uint16) * 257, photometric=0),
        GREY,
        16,
        "MONOCHROME1",
    ),
    "tiff 16 bit": (tiff(GREY.astype(np.uint16) * 257), GREY, 16, "MONOCHROME2"),
    "tiff 32 bit": (tiff(GREY.astype(np.int32) * 257), GREY, 32, "MONOCHROME2"),
    "tiff float": (tiff(GREY.astype(np.float32) * 257), GREY, 32, "MONOCHROME2"),
    "bmp grey": (encode(GREY, "BMP"), GREY, 8, "MONOCHROME2"),
    "bmp rgb": (encode(RGB, "BMP"), luma(RGB), 8, "RGB"),
    "bmp 1 bit": (encode(Image.fromarray(BINARY), "BMP"), BINARY * 255, 1, "MONOCHROME2"),
    "webp lossless": (encode(RGB, "WEBP", lossless=True), luma(RGB), 8, "RGB"),
}


@pytest.mark.parametrize("case", EXACT)
def test_every_mode_gives_the_known_picture(case: str) -> None:
    data, expected, bits, photometric = EXACT[case]
    radiograph = read_radiograph(data)
    difference = np.abs(radiograph.pixels.astype(int) - expected.astype(int)).max()
    assert difference <= (2 if photometric == "YCBCR" else 1)  # rounding of luma, of alpha, twice of YCbCr
    facts = radiograph.facts
    assert (facts.width, facts.height, facts.bits, facts.photometric) == (56, 40, bits, photometric)
    assert facts.file_bytes == len(data)


@pytest.mark.parametrize("case", ["png grey", "png 16 bit", "tiff 16 bit white is zero", "bmp grey"])
def test_corners_are_pinned(case: str) -> None:
    pixels = read_radiograph(EXACT[case][0]).pixels
    assert [pixels[0, 0], pixels[0, 55], pixels[39, 0], pixels[39, 55]] == [20, 130, 98, 208]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("file_format", "options", "tolerance"),
    [
        ("JPEG", {"quality": 95}, 3),
        ("PNG", {}, 0),
        ("TIFF", {}, 0),
        ("TIFF", {"compression": "tiff_lzw"}, 0),
        ("WEBP", {"lossless": True}, 1),
    ],
)
def test_every_orientation_comes_out_upright(
    file_format: str, options: dict, tolerance: int, orientation: int
) -> None:
    radiograph = read_radiograph(rotated(GREY, orientation, file_format, **options))
    assert radiograph.pixels.shape == GREY.shape
    assert np.abs(radiograph.pixels.astype(int) - GREY).max() <= tolerance
    assert (radiograph.facts.width, radiograph.facts.height) == (56, 40)


def test_a_scaled_decode_is_turned_too() -> None:
    large = np.kron(GREY, np.ones((16, 16), np.uint8))
    radiograph = read_radiograph(rotated(large, 6, "JPEG", quality=95), min_side_px=100)
    assert (radiograph.facts.width, radiograph.facts.height) == (896, 640)
    height, width = radiograph.pixels.shape
    assert 200 <= height < width < 500
    assert abs(int(radiograph.pixels[0, 0]) - 20) < 6
    assert abs(int(radiograph.pixels[-1, -1]) - 208) < 6


@pytest.mark.parametrize("value", [0, 9, 6000])
def test_an_orientation_that_does_not_exist_is_ignored(value: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = value
    np.testing.assert_array_equal(read_radiograph(encode(GREY, "PNG", exif=exif)).pixels, GREY)


def test_damaged_exif_is_ignored() -> None:
    data = encode(GREY, "PNG")
    damaged = data[:33] + chunk(b"eXIf", b"no such thing") + data[33:]
    np.testing.assert_array_equal(read_radiograph(damaged).pixels, GREY)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}])
def test_jpeg_colour_becomes_luma(options: dict) -> None:
    radiograph = read_radiograph(encode(RGB, "JPEG", quality=95, **options))
    assert np.abs(radiograph.pixels.astype(int) - luma(RGB)).max() <= 4
    assert radiograph.facts.photometric == "RGB"


def test_jpeg_stored_as_rgb_becomes_luma() -> None:
    data = encode(RGB, "JPEG", quality=95, keep_rgb=True)
    assert np.abs(read_radiograph(data).pixels.astype(int) - luma(RGB)).max() <= 4


def test_cmyk_jpeg_with_adobe_inversion() -> None:
    data = encode(cmyk(), "JPEG", quality=95)
    assert b"Adobe" in data
    radiograph = read_radiograph(data)
    assert np.abs(radiograph.pixels.astype(int) - GREY).max() <= 4
    assert radiograph.facts.photometric == "CMYK"


@pytest.mark.parametrize("percent", range(10, 100, 10))
@pytest.mark.parametrize("picture", ["grey", "progressive", "cmyk"])
def test_a_cut_jpeg_closed_with_an_end_marker_is_refused(picture: str, percent: int) -> None:
    rng = np.random.default_rng(0)
    noisy = Image.fromarray(rng.integers(0, 255, (64, 64), dtype=np.uint8))
    image = noisy.convert("CMYK") if picture == "cmyk" else noisy
    data = encode(image, "JPEG", progressive=picture == "progressive")
    start = data.index(b"\xff\xda") + 20
    cut = data[: start + (len(data) - start) * percent // 100] + b"\xff\xd9"
    if picture == "grey":
        with Image.open(io.BytesIO(cut)) as accepted:
            accepted.load()  # Pillow takes it: that is why the check exists
    with pytest.raises(UnreadableImage, match="truncated or damaged"):
        read_radiograph(cut)


def test_grey_jpeg_equals_a_plain_decode() -> None:
    data = jpeg_frame(GREY)
    np.testing.assert_array_equal(
        read_radiograph(data).pixels, simplejpeg.decode_jpeg(data, colorspace="GRAY")[:, :, 0]
    )


@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "WEBP"])
def test_more_than_one_frame_is_refused(file_format: str) -> None:
    frames = [Image.fromarray(RGB), Image.fromarray(255 - RGB)]
    data = encode(frames[0], file_format, save_all=True, append_images=frames[1:])
    with pytest.raises(UnreadableImage, match=f"the {file_format} file holds more than one frame; exactly 1"):
        read_radiograph(data)


def test_a_colour_mode_that_is_not_converted_is_refused() -> None:
    data = encode(Image.new("LAB", (56, 40)), "TIFF")
    with pytest.raises(UnreadableImage, match="colour mode LAB; allowed are grey, RGB, CMYK and palette"):
        read_radiograph(data)


def test_a_few_float_pixels_that_are_not_numbers_are_black() -> None:
    values = GREY.astype(np.float32) * 257
    values[3, 3] = np.nan
    pixels = read_radiograph(tiff(values)).pixels
    assert pixels[3, 3] == GREY.min()
    assert np.abs(pixels.astype(int) - GREY).max() == GREY[3, 3] - GREY.min()


def test_a_bitmap_of_a_variant_that_is_not_decoded_is_refused_for_that() -> None:
    data = bytearray(encode(GREY, "BMP"))
    data[30] = 4  # biCompression: JPEG
    with pytest.raises(UnsupportedCoding, match="the BMP is of a variant that is not decoded here"):
        read_radiograph(bytes(data))


def test_a_decoder_without_memory_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("hilum.imaging.raster.simplejpeg.decode_jpeg", exhausted)
    with pytest.raises(
        ImageTooLarge, match="film: decoding the JPEG takes more memory than a decoder may use"
    ):
        read_radiograph(jpeg_frame(GREY), name="film")


def test_premultiplied_alpha_is_already_on_black() -> None:
    data = bytearray(encode(rgba(), "TIFF"))
    at = data.index(struct.pack("<HHI", 338, 3, 1)) + 8  # ExtraSamples: 1 is associated alpha
    data[at] = 1
    pixels = read_radiograph(bytes(data)).pixels
    opaque = ALPHA == 255
    np.testing.assert_array_equal(pixels[opaque], GREY[opaque])


@pytest.mark.parametrize("case", EXACT)
def test_every_truncation_is_refused_or_harmless(case: str) -> None:
    data, *_ = EXACT[case]
    whole = read_radiograph(data).pixels
    for length in range(0, len(data), max(1, len(data) // 60)):
        try:
            pixels = read_radiograph(data[:length]).pixels
        except UnreadableImage:
            continue
        np.testing.assert_array_equal(pixels, whole)
