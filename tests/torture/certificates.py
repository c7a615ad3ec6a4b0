"""Group K: certificates that are renewed, and some that must not be taken, while clients keep coming."""

import ssl
import time
from pathlib import Path

from tests.harness.certificates import Authority, Pair
from tests.harness.processes import wait_until
from tests.harness.server import Server
from tests.reliability.test_tls import asked_all_the_time, put, shown_by_each_worker

from .sabotaged import sabotaged
from .service import serving
from .trial import Finding, trial

RENEWALS, EVERY, REQUESTS, WORKERS = 12, 3, 5_000, 2
TAKEN_S, LOOKED_S, LAST_S = 5.0, 2.0, 60.0


@trial(
    "K1",
    f"{RENEWALS} new certificates, every third of which is expired, of another key or open to others, while"
    f" {REQUESTS:,} requests come over connections of their own to {WORKERS} workers",
    target=f"0 requests failed; each good certificate shown by both workers within {TAKEN_S:.0f} s, none of"
    " the others ever",
    sabotage="a new certificate is taken without a look",
)
def renew(folder: Path, broken: bool) -> Finding:
    """Renew and spoil in turn."""
    authority = Authority(folder)
    pair = authority.issue("renewed")
    requests = REQUESTS if not broken else 100
    wrong: list[str] = []
    with (
        sabotaged("careless-renewal" if broken else None),
        serving(folder, *pair.arguments, workers=WORKERS, tls=authority.client_context()) as server,
    ):
        current = pair.certificate.read_text()
        with asked_all_the_time(server) as statuses:
            for number in range(RENEWALS):
                is_bad = number % EVERY == EVERY - 1
                if is_bad:
                    put(_spoiled(authority, number), pair)
                    time.sleep(LOOKED_S)  # workers look every second
                else:
                    put(authority.issue(f"new-{number}", last=20 + number), pair)
                    current = pair.certificate.read_text()
                if not _is_shown(server, current):
                    wrong.append(f"number {number}, {'bad' if is_bad else 'good'}")
                    if broken:
                        break
            wait_until(lambda: statuses.total() >= requests, timeout_s=LAST_S)
    failed = statuses.total() - statuses[200]
    return Finding(
        statuses.total(),
        failed == 0 and not wrong and statuses[200] >= requests,
        f"{failed} of {statuses.total()} requests failed, {len(wrong)} of {RENEWALS} renewals went"
        f" wrong{': ' + wrong[0] if wrong else ''}",
    )


def _spoiled(authority: Authority, number: int) -> Pair:
    """Return a pair that must not be taken, of another kind each time."""
    name = f"bad-{number}"
    match number // EVERY % 3:
        case 0:
            return authority.issue(name, first=-20, last=-1)
        case 1:
            return Pair(authority.issue(name).certificate, authority.issue(f"other-{number}").key)
        case _:
            return authority.issue(name, mode=0o644)


def _is_shown(server: Server, certificate: str) -> bool:
    """Tell whether in the end every worker shows this certificate, and no other."""
    wanted = {ssl.PEM_cert_to_DER_cert(certificate)}

    def is_shown() -> bool:
        try:
            return shown_by_each_worker(server) == wanted
        except OSError:
            return False

    return wait_until(is_shown, timeout_s=TAKEN_S)
