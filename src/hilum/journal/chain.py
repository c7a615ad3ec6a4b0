r"""The keyed hash chain: what exactly is hashed, so that anyone with the key can check it without hilum.

All hashes are HMAC-SHA256, written as 64 hex digits. `key` is the chain key (32 bytes or more).

*Canonical JSON* is an object with its names sorted, no spaces, everything beyond ASCII escaped, numbers as
Python writes them: `json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)`.

A commitment hides a personal field and still binds it. Each record has a salt of 32 random bytes:

    user_commitment = HMAC(salt, b"user_id\n" + user_id in UTF-8)           null when there is no user_id
    ip_commitment   = HMAC(salt, b"ip_address\n" + ip_address in UTF-8)     null when there is no ip_address

The body of a record is the canonical JSON of these 14 fields, `facts` being a text (itself canonical JSON):

    code confidence endpoint facts inference_time_ms ip_commitment kind model_version prediction request_id
    seq status timestamp user_commitment

The link of record n (its `hash`) is

    HMAC(key, b"link\n" + link of record n-1 as 32 bytes + body of record n)

where record 1 follows 32 zero bytes. Anonymising deletes user_id, ip_address and salt: the commitments stay,
so every link still holds, and nobody can guess what they hid. After a purge the chain starts behind the last
purged record, whose number and link are in the table `purged_segments` (first line of an export) with

    mac = HMAC(key, b"purged\n" + canonical JSON of {at, hash, seq})

A checkpoint is one line in a file outside the database, canonical JSON of {at, hash, mac, seq}: record `seq`
exists and its link is `hash`. Its mac is HMAC(key, b"checkpoint\n" + canonical JSON of {at, hash, seq}).

What it finds: any edit, deletion, insertion or exchange, a chain made anew without the key, and, through the
checkpoints, a tail cut off or an older copy put back. What it cannot find: the loss of records younger than
the last checkpoint (at most 60 s or about 1,000 records), whatever someone does who has the key, and a tail
cut from database and checkpoints at once; so keep the checkpoints where the database's administrator has no
hand.
"""

import hmac
import json
from collections.abc import Mapping
from typing import Any

GENESIS = "0" * 64
"""The link that record 1 follows."""

BODY_FIELDS = (
    "code",
    "confidence",
    "endpoint",
    "facts",
    "inference_time_ms",
    "ip_commitment",
    "kind",
    "model_version",
    "prediction",
    "request_id",
    "seq",
    "status",
    "timestamp",
    "user_commitment",
)


def to_canonical(value: Mapping[str, Any]) -> str:
    """Return canonical JSON.

    Raises
    ------
    TypeError, ValueError
        A value is no JSON, or a number is not finite: the row was altered.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def commit_to(salt: bytes, field: str, value: str | None) -> str | None:
    """Return the commitment to a personal field, None to none."""
    if value is None:
        return None
    return hmac.digest(salt, f"{field}\n{value}".encode(), "sha256").hex()


def make_link(key: bytes, previous: str, row: Mapping[str, Any]) -> str:
    """Return the link of a record.

    Parameters
    ----------
    key
        The chain key.
    previous
        Link of the record before.
    row
        Its fields as stored; others than BODY_FIELDS are ignored.

    Raises
    ------
    TypeError, ValueError
        A stored value is of no kind that hilum writes.
    """
    body = to_canonical({name: row[name] for name in BODY_FIELDS})
    return hmac.digest(key, b"link\n" + bytes.fromhex(previous) + body.encode(), "sha256").hex()


def sign_head(key: bytes, purpose: str, *, seq: int, link: str, at: str) -> str:
    """Return the mac of a checkpoint (`purpose` "checkpoint") or of a purged segment ("purged")."""
    stated = to_canonical({"seq": seq, "hash": link, "at": at})
    return hmac.digest(key, f"{purpose}\n{stated}".encode(), "sha256").hex()


def is_same(one: object, other: object) -> bool:
    """Compare two hex texts in constant time; anything else is different."""
    if not isinstance(one, str) or not isinstance(other, str):
        return False
    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode("utf-8", "replace"))
