"""Refuse to start within a limit of the address space in which native libraries would end the process.

Imports nothing heavy, for it is asked before anything is loaded. Knows nothing of the memory of a container:
the kernel ends a process that takes more than that, and nobody is asked.
"""

import resource

from hilum.domain.errors import ConfigError
from hilum.domain.thresholds import MIN_ADDRESS_SPACE_BYTES

_MIB = 1024**2


def check_address_space() -> None:
    """Raise ConfigError where the limit of this process is below what the service maps."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY and limit < MIN_ADDRESS_SPACE_BYTES:
        raise ConfigError(
            f"the memory that this process may map is limited to {limit // _MIB} MiB; the service needs"
            f" {MIN_ADDRESS_SPACE_BYTES // _MIB}. Raise the limit (ulimit -v)."
        )
