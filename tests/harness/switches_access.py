"""Group I broken: who gets in."""

import hmac
from dataclasses import replace
from typing import Any

from .switch import Sabotage, nothing, replaced, together, value

ACCESS_TESTS, TOKENS, STARTS = (
    f"tests/reliability/test_{name}.py" for name in ("access", "bearer_tokens", "refusals_to_start")
)


def _opens_admin(table: Any) -> Any:
    from hilum.serving.exchange import Role

    path = ("GET", "/admin/keys")
    table[path] = replace(table[path], roles=frozenset(Role))
    return table


def _never_ends(check: Any) -> Any:
    def lenient(self: Any, presented: str) -> Any:
        found = check(self, presented)
        return replace(found, refusal=None) if found.key is not None else found

    return lenient


def _remembers(verify: Any) -> Any:
    known: dict[str, Any] = {}

    def cached(self: Any, credential: str) -> Any:
        if known.get(credential) is None:
            known[credential] = verify(self, credential)
        return known[credential]

    return cached


def _remembers_for_a_while(verify: Any) -> Any:
    known: dict[str, tuple[float, Any]] = {}

    def cached(self: Any, credential: str) -> Any:
        import time

        at, found = known.get(credential, (0.0, None))
        if found is None or time.monotonic() - at > 60:
            at, found = known[credential] = time.monotonic(), verify(self, credential)
        return found

    return cached


def _exits_early(_: Any) -> Any:
    def compare(one: str, other: str) -> bool:
        for mine, theirs in zip(one, other, strict=False):
            if mine != theirs:
                return False
        return len(one) == len(other)

    return compare


def _compares_text(read: Any) -> Any:
    def careless(scope: Any) -> Any:
        for name, given in scope["headers"]:
            if name in {b"authorization", b"x-api-key"}:
                hmac.compare_digest(given.decode("latin-1"), "expected")
        return read(scope)

    return careless


def _keeps_plaintext(make: Any) -> Any:
    def plain(self: Any, *arguments: Any) -> Any:
        key, plaintext, row = make(self, *arguments)
        return key, plaintext, {**row, "label": plaintext}

    return plain


def _believes(_: Any) -> Any:
    def verify(self: Any, credential: str) -> Any:
        import jwt

        from hilum.serving.exchange import Identity

        try:
            claims = jwt.decode(credential, options={"verify_signature": False})
        except jwt.PyJWTError:
            return None
        role = self._role(claims)
        return Identity(str(claims.get("sub")), role) if role else None

    return verify


def _always_open(state: Any) -> Any:
    def off(self: Any, *arguments: Any) -> Any:
        return replace(state(self, *arguments), is_on=False)

    return off


KEYS = "hilum.journal.keys"

ACCESS = {
    "open-route": Sabotage(
        "I",
        "every role may list the keys",
        {"hilum.serving.access": replaced("TABLE", _opens_admin)},
        (f"{ACCESS_TESTS}::test_every_role_may_exactly_what_the_table_says",),
    ),
    "endless-keys": Sabotage(
        "I",
        "revoked and expired keys go on to work",
        {KEYS: replaced("KeyStore.check", _never_ends)},
        (f"{ACCESS_TESTS}::test_no_key_that_is_not_good_opens_anything",),
    ),
    "remembered-keys": Sabotage(
        "I",
        "a key that was good once is believed for ever",
        {"hilum.serving.service": replaced("StoredKeys.verify", _remembers)},
        (
            f"{ACCESS_TESTS}::test_a_rotated_key_overlaps_and_a_revoked_one_ends_within_a_second",
            f"{ACCESS_TESTS}::test_a_revoked_key_ends_within_a_second_in_every_worker",
        ),
    ),
    "keys-known-for-a-minute": Sabotage(
        "I",
        "each worker remembers for a minute that a key was good",
        {"hilum.serving.service": replaced("StoredKeys.verify", _remembers_for_a_while)},
        (f"{ACCESS_TESTS}::test_a_revoked_key_ends_within_a_second_in_every_worker",),
    ),
    "early-exit": Sabotage(
        "I",
        "digests are compared letter by letter, up to the first that differs",
        {"hilum.journal.chain": replaced("is_same", _exits_early)},
        (f"{ACCESS_TESTS}::test_a_comparison_takes_as_long_whatever_agrees",),
    ),
    "text-comparison": Sabotage(
        "I",
        "credentials are compared as text, which breaks on bytes above 127",
        {"hilum.serving.auth": replaced("read_credential", _compares_text)},
        (f"{ACCESS_TESTS}::test_every_byte_of_a_header_is_refused_and_none_is_an_error",),
    ),
    "plaintext-keys": Sabotage(
        "I",
        "keys are stored as they are",
        {KEYS: replaced("KeyStore._make", _keeps_plaintext)},
        (f"{ACCESS_TESTS}::test_keys_are_nowhere_in_plaintext",),
    ),
    "free-guesses": Sabotage(
        "I",
        "failed log-ins are not counted",
        {"hilum.serving.limits": nothing("RateLimits.count_failure")},
        (f"{ACCESS_TESTS}::test_guessing_is_slowed_down_and_locks_nobody_out",),
    ),
    "keys-in-addresses": Sabotage(
        "I",
        "a credential in the address is taken without a word",
        {"hilum.serving.front_door": nothing("_check_query")},
        (f"{ACCESS_TESTS}::test_a_key_in_the_address_is_refused_and_not_logged",),
    ),
    "unsigned-tokens": Sabotage(
        "I",
        "the signature of a token is not checked",
        {"hilum.serving.tokens": replaced("TokenVerifier.verify", _believes)},
        (f"{TOKENS}::test_no_forged_token_opens_anything",),
    ),
    "named-subjects": Sabotage(
        "I",
        "the subject of a token is recorded as it is",
        {"hilum.serving.tokens": replaced("_user_id", lambda _: lambda claims: str(claims["sub"]))},
        (f"{TOKENS}::test_a_subject_with_a_name_is_not_recorded",),
    ),
    "careless-files": Sabotage(
        "I",
        "secrets that anyone may read are taken",
        {
            "hilum.serving.settings": nothing("ServiceSettings.check_files"),
            "hilum.serving.secret_files": value("_OTHERS", 0),
        },
        (f"{STARTS}::test_a_secret_that_others_may_read_or_that_is_short_is_refused",),
    ),
    "shown-secrets": Sabotage(
        "I",
        "the settings are shown with their secrets",
        {
            "hilum.serving.settings": replaced(
                "ServiceSettings.model_dump_json",
                lambda _: lambda self, **_options: str(self.to_environment()).lower(),
            )
        },
        (f"{STARTS}::test_settings_are_shown_without_secrets",),
    ),
    "forgotten-lockdown": Sabotage(
        "U",
        "the lockdown switch is not read",
        {"hilum.journal.switches": together(replaced("Switches.state", _always_open))},
        (f"{ACCESS_TESTS}::test_a_lockdown_shuts_everything_survives_a_restart_and_needs_another_admin",),
    ),
}
