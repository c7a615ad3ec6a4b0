"""/admin/*: keys, versions and the lockdown; every change is recorded with who made it."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Path

from hilum.domain.errors import InputError
from hilum.journal.switches import SwitchState
from hilum.registry.store import ModelStore
from hilum.serving.exchange import Outcome, Role
from hilum.serving.oversight_schemas import (
    KeyIn,
    KeyOut,
    LockdownIn,
    LockdownOut,
    NewKeyOut,
    PromoteIn,
    PromotionOut,
    RollbackIn,
    RotateIn,
    StoredModelOut,
)
from hilum.serving.refusals import Conflict, NotFound
from hilum.serving.routes.dependencies import GUARDED, ExchangeDep, IdentityDep, ServiceDep, problems
from hilum.serving.service import Service

router = APIRouter(prefix="/admin", tags=["admin"], responses=problems(*GUARDED, 404, 409, 413, 415, 422))
KeyId = Annotated[str, Path(pattern=r"^[0-9a-f]{1,32}$", examples=["0a1b2c3d4e5f6071"])]
_CREATED = 201


@router.get("/keys", response_model=list[KeyOut])
def list_keys(service: ServiceDep) -> list[KeyOut]:
    """Return every key there ever was, without secrets."""
    return [KeyOut.model_validate(key, from_attributes=True) for key in service.keys.list()]


@router.post("/keys", response_model=NewKeyOut, status_code=_CREATED)
def create_key(asked: KeyIn, service: ServiceDep, exchange: ExchangeDep) -> NewKeyOut:
    """Make a key; its secret is shown this once."""
    until = datetime.now(UTC) + timedelta(days=asked.expires_in_days)
    key, plaintext = service.keys.create(asked.label, asked.role.value, until)
    exchange.outcomes.append(Outcome(_CREATED, code="key-created", facts={"key": key.id, "role": key.role}))
    return NewKeyOut(id=key.id, key=plaintext, label=key.label, role=asked.role, expires_at=key.expires_at)


@router.delete("/keys/{key_id}", response_model=KeyOut)
def revoke_key(key_id: KeyId, service: ServiceDep, exchange: ExchangeDep) -> KeyOut:
    """End a key now, in every worker."""
    _must_exist(service, key_id)
    key = service.keys.revoke(key_id)
    service.stored_keys.forget()
    exchange.outcomes.append(Outcome(200, code="key-revoked", facts={"key": key.id}))
    return KeyOut.model_validate(key, from_attributes=True)


@router.post("/keys/{key_id}/rotate", response_model=NewKeyOut, status_code=_CREATED)
def rotate_key(key_id: KeyId, asked: RotateIn, service: ServiceDep, exchange: ExchangeDep) -> NewKeyOut:
    """Make a successor of a key; the old one works on for the overlap."""
    _must_exist(service, key_id)
    try:
        key, plaintext = service.keys.rotate(key_id, timedelta(hours=asked.overlap_hours))
        service.stored_keys.forget()
    except InputError:
        raise Conflict("The key is revoked, expired or rotated already.", fix="Create a new one.") from None
    exchange.outcomes.append(
        Outcome(_CREATED, code="key-rotated", facts={"key": key_id, "successor": key.id})
    )
    return NewKeyOut(
        id=key.id, key=plaintext, label=key.label, role=Role(key.role), expires_at=key.expires_at
    )


@router.get("/models", response_model=list[StoredModelOut])
def list_models(service: ServiceDep) -> list[StoredModelOut]:
    """Return the versions of the registry, verified."""
    active = service.models.state.name
    return [
        StoredModelOut(
            name=one.name,
            version=one.version,
            aliases=list(one.aliases),
            active=one.name == active,
            ok=one.ok,
            reason=one.reason or None,
        )
        for one in _registry(service).list()
    ]


@router.post("/models/promote", response_model=PromotionOut)
def promote(
    asked: PromoteIn, service: ServiceDep, exchange: ExchangeDep, identity: IdentityDep
) -> PromotionOut:
    """Make a version production if no gate refuses it; the service follows within a second."""
    found = _registry(service).promote(asked.name, by=identity.user_id, reason=asked.reason)
    code = "promoted" if found.promoted else "promotion-refused"
    exchange.outcomes.append(Outcome(200, code=code, model_version=found.name))
    return PromotionOut(
        promoted=found.promoted, name=found.name, reasons=[refusal.sentence for refusal in found.refusals]
    )


@router.post("/models/rollback", response_model=PromotionOut)
def roll_back(
    asked: RollbackIn, service: ServiceDep, exchange: ExchangeDep, identity: IdentityDep
) -> PromotionOut:
    """Make the version before it production again."""
    name = _registry(service).rollback(by=identity.user_id, reason=asked.reason)
    exchange.outcomes.append(Outcome(200, code="rolled-back", model_version=name))
    return PromotionOut(promoted=True, name=name, reasons=[])


@router.get("/lockdown", response_model=LockdownOut)
def read_lockdown(service: ServiceDep) -> LockdownOut:
    """Say whether the service is shut."""
    return _to_lockdown(service.switches.state())


@router.post("/lockdown", response_model=LockdownOut)
def lock_down(
    asked: LockdownIn, service: ServiceDep, exchange: ExchangeDep, identity: IdentityDep
) -> LockdownOut:
    """Shut the service, in every worker within a second."""
    state = service.switches.engage(by=identity.user_id, reason_code=asked.reason_code)
    service.is_locked_down = state.is_on
    exchange.outcomes.append(Outcome(200, code="lockdown-on", facts={"reason": asked.reason_code}))
    return _to_lockdown(state)


@router.delete("/lockdown", response_model=LockdownOut)
def release_lockdown(service: ServiceDep, exchange: ExchangeDep, identity: IdentityDep) -> LockdownOut:
    """Open the service again; another admin must do it than the one who shut it."""
    try:
        state = service.switches.release(by=identity.user_id)
    except InputError:
        raise Conflict(
            "Another admin must release the lockdown than the one who engaged it.", code="second_admin_needed"
        ) from None
    service.is_locked_down = state.is_on
    exchange.outcomes.append(Outcome(200, code="lockdown-off"))
    return _to_lockdown(state)


def _to_lockdown(state: SwitchState) -> LockdownOut:
    return LockdownOut(
        on=state.is_on, reason_code=state.reason_code or None, by=state.by or None, at=state.at
    )


def _must_exist(service: Service, key_id: str) -> None:
    if service.keys.find(key_id) is None:
        raise NotFound("There is no key of this id.")


def _registry(service: Service) -> ModelStore:
    if service.store is None:
        raise Conflict("This service serves one bundle and has no registry.", fix="Start it with --registry.")
    return service.store
