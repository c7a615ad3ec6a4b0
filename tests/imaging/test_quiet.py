import logging
import os
import threading
import warnings

import pytest

from hilum.imaging.quiet import decoder_warnings_ignored, printed_warnings_dropped


def test_warnings_are_ignored_inside_and_errors_again_outside() -> None:
    with decoder_warnings_ignored():
        warnings.warn("header value", UserWarning, stacklevel=1)
    with pytest.raises(UserWarning):
        warnings.warn("ours", UserWarning, stacklevel=1)


def test_overlapping_threads_leave_the_filters_as_they_were() -> None:
    before = list(warnings.filters)
    inside, leave = threading.Event(), threading.Event()

    def reader() -> None:
        with decoder_warnings_ignored():
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=reader)
    with decoder_warnings_ignored():
        thread.start()
        assert inside.wait(10)
    warnings.warn("the other reader is still decoding", UserWarning, stacklevel=1)
    leave.set()
    thread.join(10)
    assert list(warnings.filters) == before


def test_the_log_of_pydicom_is_silent_inside_and_back_outside(caplog: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger("pydicom")
    child = logging.getLogger("pydicom.pixels.decoders.base")
    with decoder_warnings_ignored(), decoder_warnings_ignored():
        log.warning("header value")
        child.exception("a traceback")
    assert caplog.messages == []
    log.warning("back")
    assert caplog.messages == ["back"]


def test_what_a_decoder_prints_is_dropped_and_the_rest_comes_later(capfd: pytest.CaptureFixture[str]) -> None:
    with printed_warnings_dropped():
        os.write(2, b"Corrupt JPEG data: premature end of data segment\n")
        os.write(2, b"hilum: 3 of 9 films\n")
        os.write(2, b"no end of line")
        assert capfd.readouterr().err == ""
    assert capfd.readouterr().err == "hilum: 3 of 9 films\nno end of line"
    with pytest.raises(ValueError, match="decoder"), printed_warnings_dropped():
        raise ValueError("of a decoder")
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"
