"""Erasures: requests in, answers out."""

from domain.commands import ErasePerson
from redrive.v1.maintenance_service_pb2 import ErasePersonRequest, ErasePersonResponse
from server.api.rules.maintenance_rules import ErasePersonRules


def erase_person(request: ErasePersonRequest, owner: str) -> ErasePerson:
    """Whom to erase; raises InvalidRequest."""
    ErasePersonRules.check(request)
    return ErasePerson(owner=owner, request_id=request.request_id, recipient_id=request.recipient_id)


def person_erased(messages: int) -> ErasePersonResponse:
    """What an ErasePerson changed."""
    return ErasePersonResponse(messages_affected=messages)
