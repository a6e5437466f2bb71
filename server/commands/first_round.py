"""The first round of a message: each recipient once, in batches, with the variables that the text asks for."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from domain.batch_events import BatchCreated, BatchRecipient
from domain.batch_plan import BatchPlan, in_batches
from domain.recipient import Recipient
from domain.streams import batch_stream
from server.log.commit import StreamEvents
from server.log.vault import MessageKey


def first_of_each(recipients: Iterable[Recipient]) -> dict[str, Recipient]:
    """Recipients by id, in order; of those with the same id the first stays."""
    found: dict[str, Recipient] = {}
    for recipient in recipients:
        found.setdefault(recipient.id, recipient)
    return found


def new_batches(
    plan: BatchPlan, recipients: Sequence[Recipient], wanted: frozenset[str], key: MessageKey
) -> Iterator[BatchCreated]:
    """The batches that a plan makes of them; of their variables only the wanted ones are kept."""
    for index, group in enumerate(in_batches(recipients)):
        variables = [_wanted(recipient.variables, wanted) for recipient in group]
        people = [BatchRecipient(id=recipient.id, name=recipient.name, attempt_number=1) for recipient in group]
        yield plan.created(index, people, key.seal_variables(variables, plan.first_batch + index))


def _wanted(variables: Mapping[str, str], wanted: frozenset[str]) -> Mapping[str, str]:
    if variables.keys() <= wanted:
        return variables
    return {name: value for name, value in variables.items() if name in wanted}


def appends_of(batches: Iterable[BatchCreated]) -> list[StreamEvents]:
    """The beginnings of their streams."""
    return [
        StreamEvents(batch_stream(batch.message_id, batch.stage, batch.batch_number), 0, [batch]) for batch in batches
    ]


def have_variables(batches: Iterable[BatchCreated]) -> bool:
    """Whether any recipient of theirs brought a variable that the text asks for."""
    return any(batch.sealed_variables for batch in batches)
