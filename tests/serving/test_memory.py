import resource

import pytest

from hilum.domain.errors import ConfigError
from hilum.domain.thresholds import MIN_ADDRESS_SPACE_BYTES
from hilum.serving.memory import check_address_space


@pytest.mark.parametrize("limit", [resource.RLIM_INFINITY, MIN_ADDRESS_SPACE_BYTES])
def test_enough_is_enough(monkeypatch: pytest.MonkeyPatch, limit: int):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (limit, resource.RLIM_INFINITY))
    check_address_space()


def test_less_is_refused_with_both_numbers(monkeypatch: pytest.MonkeyPatch):
    limit = MIN_ADDRESS_SPACE_BYTES - 1
    monkeypatch.setattr(resource, "getrlimit", lambda _: (limit, resource.RLIM_INFINITY))
    with pytest.raises(ConfigError, match=r"memory .* limited to 3071 MiB; the service needs 3072"):
        check_address_space()
