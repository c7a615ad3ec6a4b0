"""GET /model/info and /whoami."""

from fastapi import APIRouter

from hilum.serving.model_facts import describe_model
from hilum.serving.routes.dependencies import GUARDED, IdentityDep, ServiceDep, problems
from hilum.serving.schemas import ModelInfoOut, WhoAmIOut

router = APIRouter(tags=["about"], responses=problems(*GUARDED))


@router.get("/model/info", response_model=ModelInfoOut)
def model_info(service: ServiceDep) -> ModelInfoOut:
    """Say what answers, what it was measured at and what is known against it."""
    identity, facts, folder, state = service.models.describe()
    return describe_model(identity, facts, folder, fallback=state.is_fallback, reason=state.reason)


@router.get("/whoami", response_model=WhoAmIOut)
async def whoami(identity: IdentityDep) -> WhoAmIOut:
    """Say whose the credential is."""
    return WhoAmIOut(
        user_id=identity.user_id, role=identity.role, label=identity.label, expires_at=identity.expires_at
    )
