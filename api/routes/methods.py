"""What a job can be asked to do."""

from __future__ import annotations

from fastapi import APIRouter

from api.auth import needs
from api.schemas.methods import MethodList, MethodObject
from core.learning.methods import described

router = APIRouter(prefix="/methods", tags=["fine-tuning"])


@router.get("", dependencies=[needs("jobs:read")])
def list_methods() -> MethodList:
    """Every method and combination: when to take it, where it is from, which bases it fits, and its
    hyperparameters with their defaults and bounds."""
    return MethodList(data=[MethodObject.model_validate(each) for each in described()])
