"""Group L: no identifier that comes in is anywhere afterwards but where the journal says whom it serves.

What is sent, and where it is looked for, is that of tests/reliability/test_identifiers.py; here a token of
its own is planted in every request.
"""

import os
import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.harness.canary import new_token, scan
from tests.harness.films import real_png
from tests.harness.multipart import Part, form
from tests.harness.planting import GOOD_FILMS, HEADERS, damaged_films
from tests.harness.processes import tree
from tests.reliability.conftest import GENEROUS, fresh_address, start
from tests.reliability.test_identifiers import MIXED_PLACES, Watched, send_everything

from .results import sabotaged
from .trial import Finding, trial

SEED = 15
TOKENS, CLIENTS = 3_000, 4
KILL_EVERY = 300
BATCH_SHARE, JSON_SHARE = 0.1, 0.1
JSON_PATHS = ("/feedback", "/admin/keys", "/admin/models/promote", "/admin/lockdown")
JSON_FIELDS = ("request_id", "kind", "label", "role", "name", "reason_code")


@trial(
    "L1",
    f"{TOKENS:,} planted identifiers in films, forms, headers, addresses and JSON, in one to five places at"
    " once, with decoders that are killed now and then; every log, file, metric, record and answer looked"
    " through",
    target="0 traces in any usual encoding, 0 answers 500",
    sabotage="a film that cannot be decoded is logged with its data set",
)
def plant(folder: Path, broken: bool) -> Finding:
    """Send, then look."""
    count = TOKENS if not broken else 200
    with sabotaged("logged-failure", broken=broken):
        server = start(folder / "data", environment=GENEROUS | {"HILUM_LOG_LEVEL": "debug"})
        try:
            watched = Watched(server)
            send_everything(watched)

            def send(number: int) -> None:
                if number % KILL_EVERY == KILL_EVERY - 1:
                    _kill_decoders(watched)
                _send(watched, number)

            with ThreadPoolExecutor(CLIENTS) as pool:
                list(pool.map(send, range(count)))
            hits = scan(watched.surfaces(), watched.tokens.values())
        finally:
            server.end()
    statuses = Counter(answer.status for _, answer in watched.answers)
    told = ", ".join(f"{status}: {number}" for status, number in sorted(statuses.items()))
    named = {token: case for case, token in watched.tokens.items()}
    first = f"; first: {named[hits[0].token]} in {Path(hits[0].surface).name[:60]}" if hits else ""
    return Finding(
        len(watched.tokens),
        not hits and statuses[500] == 0 and {200, 401, 403, 404, 415, 422} <= set(statuses),
        f"{len(hits)} traces of {len(watched.tokens)} tokens in {len(watched.answers)} answers and all that"
        f" was written; {told}{first}",
    )


def _kill_decoders(watched: Watched) -> None:
    for pid in tree(watched.server.pid):
        if b"decode_child" in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, 9)


def _send(watched: Watched, number: int) -> None:
    dice = random.Random(f"{SEED}-{number}")
    case = f"case {number}"
    token = watched.tokens[case] = new_token(f"{SEED}-{number}")
    server, kind = watched.server, dice.random()
    if kind < JSON_SHARE:
        value = dict.fromkeys(JSON_FIELDS, token)
        watched.keep(case, server.post_json(dice.choice(JSON_PATHS), value, role="admin"))
        return
    if kind < JSON_SHARE + BATCH_SHARE:
        films = [_film(token, dice, is_damaged=dice.random() < 0.5) for _ in range(dice.randrange(2, 5))]
        watched.keep(case, server.predict_batch(*films))
        return
    places = dice.sample(MIXED_PLACES, dice.randrange(1, 6))
    film = real_png(128)
    if {"film", "damaged film"} & set(places):
        film = _film(token, dice, is_damaged="damaged film" in places)
    part = Part(
        film,
        name=token if "field" in places else "file",
        filename=f"{token}.png" if "file name" in places else "a.png",
        headers=(("X-Patient", token),) if "part" in places else (),
    )
    content_type, body = form(part, **({"boundary": token} if "boundary" in places else {}))
    path = f"/predict/{token}" if "path" in places else dice.choice(("/predict", "/predict/explain"))
    answer = server.request(
        "POST",
        f"{path}?{token}={token}" if "query" in places else path,
        role=dice.choice(("clinician", "clinician", "clinician", "auditor", None)),
        body=body,
        headers={"Content-Type": content_type, **{name: token for name in places if name in HEADERS}},
        source=fresh_address(),
    )
    watched.keep(case, answer)


def _film(token: str, dice: random.Random, *, is_damaged: bool) -> bytes:
    if is_damaged:
        return dice.choice([film for _, film in damaged_films(token)])
    return GOOD_FILMS[dice.choice(sorted(GOOD_FILMS))](token)
