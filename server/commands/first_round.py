"""The first round of a message: each recipient once, in batches, with the variables that the text asks for."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from domain.batch_events import BatchCreated, BatchRecipient
from domain.batch_plan import BatchPlan, in_batches
from domain.recipient import Recipient
from domain.streams import batch_stream
from projections.sealed_names import BatchPlace
from server.log.commit import StreamEvents
from server.log.person_keys import BatchKeys, joined, new_keys
from server.log.vault import MessageKey


class NewBatch(NamedTuple):
    """A batch, and the keys of its people; none where nothing of theirs is kept, or a release before has to read it."""

    created: BatchCreated
    keys: BatchKeys | None = None


def first_of_each(recipients: Iterable[Recipient]) -> dict[str, Recipient]:
    """Recipients by id, in order; of those with the same id the first stays."""
    found: dict[str, Recipient] = {}
    for recipient in recipients:
        found.setdefault(recipient.id, recipient)
    return found


def new_batches(
    plan: BatchPlan, recipients: Sequence[Recipient], wanted: frozenset[str], key: MessageKey, *, by_person: bool
) -> Iterator[NewBatch]:
    """The batches that a plan makes of them; of their variables only the wanted ones are kept.

    While a server of the release before is at work, nothing is sealed by person: it could not read that.
    """
    for index, group in enumerate(in_batches(recipients)):
        variables = [_wanted(recipient.variables, wanted) for recipient in group]
        if by_person:
            yield _sealed_by_person(plan, index, group, variables)
        else:
            yield NewBatch(_sealed_by_message(plan, index, group, variables, key))


def _wanted(variables: Mapping[str, str], wanted: frozenset[str]) -> Mapping[str, str]:
    if variables.keys() <= wanted:
        return variables
    return {name: value for name, value in variables.items() if name in wanted}


def _sealed_by_message(
    plan: BatchPlan, index: int, group: Sequence[Recipient], variables: Sequence[Mapping[str, str]], key: MessageKey
) -> BatchCreated:
    people = [BatchRecipient(id=recipient.id, name=recipient.name, attempt_number=1) for recipient in group]
    return plan.created(index, people, key.seal_variables(variables, plan.first_batch + index))


def _sealed_by_person(
    plan: BatchPlan, index: int, group: Sequence[Recipient], variables: Sequence[Mapping[str, str]]
) -> NewBatch:
    people = [BatchRecipient(id=recipient.id, name="", attempt_number=1) for recipient in group]
    if not (any(variables) or any(recipient.name for recipient in group)):
        return NewBatch(plan.created(index, people))
    keys = new_keys(len(group))
    names, sealed_variables = [], []
    for position, recipient in enumerate(group):
        own = keys.of(position)
        names.append(own.seal_name(recipient.name))
        sealed_variables.append(own.seal_variables(variables[position]))
    created = plan.created(index, people, joined(sealed_variables), sealed_names=joined(names), sealed_by_person=True)
    return NewBatch(created, keys)


def appends_of(batches: Iterable[NewBatch]) -> list[StreamEvents]:
    """The beginnings of their streams."""
    created = [batch.created for batch in batches]
    return [StreamEvents(batch_stream(one.message_id, one.stage, one.batch_number), 0, [one]) for one in created]


def keys_of(batches: Iterable[NewBatch]) -> Mapping[BatchPlace, BatchKeys]:
    """The keys to be kept with them."""
    return {(one.message_id, one.batch_number): keys for one, keys in batches if keys is not None}


def have_variables(batches: Iterable[NewBatch]) -> bool:
    """Whether any recipient of theirs brought a variable that the text asks for."""
    return any(batch.created.sealed_variables for batch in batches)
