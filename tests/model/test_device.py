import pytest
import torch

from hilum.model.device import pick_device


@pytest.mark.parametrize(
    ("cuda", "mps", "device"),
    [(True, True, "cuda"), (True, False, "cuda"), (False, True, "mps"), (False, False, "cpu")],
)
def test_cuda_before_mps_before_the_cpu(monkeypatch: pytest.MonkeyPatch, cuda: bool, mps: bool, device: str):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert pick_device() == torch.device(device)


def test_the_environment_has_the_last_word(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setenv("HILUM_DEVICE", "cpu")
    assert pick_device() == torch.device("cpu")
