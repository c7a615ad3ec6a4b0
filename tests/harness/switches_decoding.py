"""Group A broken: films that are decoded carelessly."""

from typing import Any

from .switch import Sabotage, nothing, replaced

TESTS = "tests/reliability/test_decode_child.py"


def _pillow_decodes(_: Any) -> Any:
    def decode(image: Any, data: bytes, min_side_px: int) -> Any:  # noqa: ARG001 - the signature of raster
        import numpy as np

        return np.asarray(image.convert("L"))

    return decode


def _with(**changed: Any) -> Any:
    return replaced(
        "DecodePool.__init__", lambda init: lambda self, **options: init(self, **{**options, **changed})
    )


DECODING = {
    "pillow-jpeg": Sabotage(
        "A",
        "JPEGs are decoded by Pillow, which takes a cut one closed with an end marker",
        {"hilum.imaging.raster": replaced("_jpeg_grey", _pillow_decodes)},
        (f"{TESTS}::test_a_jpeg_cut_and_closed_is_always_refused",),
    ),
    "unlimited-child": Sabotage(
        "A",
        "the process that decodes may take as much memory as it likes",
        {"resource": nothing("setrlimit")},
        (f"{TESTS}::test_a_decoder_that_eats_memory_is_stopped_at_its_limit",),
    ),
    "any-format": Sabotage(
        "A",
        "every format that the imaging package reads is taken by the service",
        {"hilum.inference.decoding": _with(formats=None)},
        (f"{TESTS}::test_every_film_is_what_the_tables_say",),
    ),
    "patient-parent": Sabotage(
        "A",
        "nobody gives up on a decoder that hangs",
        {"hilum.inference.decoding": _with(seconds=60.0)},
        (f"{TESTS}::test_a_stuck_decoder_is_given_up_and_replaced",),
    ),
    "no-second-decoder": Sabotage(
        "A",
        "a decoder that died is not replaced",
        {
            "hilum.inference.decoding": replaced(
                "DecodePool._replace", lambda _: lambda _self, child: child.end()
            )
        },
        (f"{TESTS}::test_a_killed_decoder_costs_no_film_and_comes_back",),
    ),
    "blamed-film": Sabotage(
        "A",
        "a film is given to a decoder that died while it was idle",
        {"hilum.inference.decoding": replaced("DecodePool._take", lambda _: lambda self: self._idle.get())},
        (f"{TESTS}::test_decoders_that_died_idle_cost_no_film",),
    ),
    "unbounded-inflation": Sabotage(
        "A",
        "a deflated DICOM may inflate to whatever it likes",
        {"hilum.imaging.dicom_file": replaced("MAX_INFLATED_BYTES", lambda _: 1 << 40)},
        (f"{TESTS}::test_bombs_are_refused_in_bounded_time_and_memory",),
    ),
    "unmapped-errors": Sabotage(
        "A",
        "a film that cannot be decoded is an error of the service",
        {"hilum.serving.problems": replaced("_MAKERS", lambda _: ())},
        ("tests/serving/test_app.py::test_a_film_that_cannot_be_used_gets_a_problem_that_repeats_nothing",),
    ),
}
