"""Planned: what new batches change of all that is counted, and of their recipients.

Many batches by one statement each: a round of resends has a thousand of them, and somebody waits for it to be planned.
"""

from collections import Counter

from domain.delivery import DeliveryStatus
from projections import batches, deliveries, failures, sealed_names
from projections.new_batches import NewBatches
from projections.sql import Given, Sql, micros
from projections.tally import Tally
from projections.touched import Change, Standing, Touched, counted


def apply(sql: Sql, new: NewBatches, tally: Tally) -> None:
    """Brings all read models up to date."""
    past = tally.pasts.before(sql, new.first)
    batches.create(sql, new)
    deliveries.create(sql, new)
    sealed_names.create(sql, new)
    are_known = past.has_retries or past.is_cleaned
    change = _fold(sql, new, is_cleaned=past.is_cleaned) if are_known else _create(sql, new)
    message_id = new.first.message_id
    tally.add(message_id, change.by_state, micros(new.first.time), is_started=False)
    tally.move(message_id, new.log_positions[-1])
    failures.add_counts(sql, message_id, change.by_error_type)


def _create(sql: Sql, new: NewBatches) -> Change:
    """Recipients as first attempts make them."""
    sql.execute(_CREATE, new.common, new.numbers)
    return Change(Counter(), Counter({_PENDING: new.recipients}))


def _fold(sql: Sql, new: NewBatches, *, is_cleaned: bool) -> Change:
    """Recipients that are there already: where all of them stand as failed, the new attempts are what they stand by."""
    parameters = {**new.common, "all": new.recipients}
    before = counted(sql.rows(_RECIPIENTS, parameters, new.numbers))
    if all(standing.state in _FAILED for standing in before):
        sql.execute(_RETRY_WITH_CONTENT if new.bring_content else _RETRY, parameters, new.numbers)
        return Change(before, Counter({_PENDING: new.recipients}))
    if new.bring_content:
        sql.execute(_SET_CONTENT, parameters, new.numbers)
    return _fold_each(sql, new, is_cleaned=is_cleaned)


def _fold_each(sql: Sql, new: NewBatches, *, is_cleaned: bool) -> Change:
    """Some were reached meanwhile, or are tried already."""
    before, after = Counter[Standing](), Counter[Standing]()
    for batch in new.created:
        place = {"message_id": batch.message_id, "batch_number": batch.batch_number}
        positions = Given((("position", int),), [(position,) for position in range(len(batch.recipients))])
        change = Touched(place, positions).fold_new(sql, is_cleaned=is_cleaned)
        before += change.before
        after += change.after
    return Change(before, after)


_PENDING = Standing(DeliveryStatus.PENDING, None)
_FAILED = frozenset((DeliveryStatus.FAILED, DeliveryStatus.UNCONFIRMED))
# Their attempts are read from the rows that were just written: to hand all recipients over once more takes longer.
_OF_PLANNED = """
    FROM given CROSS JOIN deliveries planned
    WHERE planned.message_id = :message_id AND planned.batch_number = given.number
"""
_CREATE = f"""
    INSERT INTO recipients (message_id, recipient_id, recipient_name, state, attempts, last_attempt_time,
                            origin_batch, origin_position)
    SELECT planned.message_id, planned.recipient_id, planned.recipient_name, planned.status, planned.attempt_number,
           planned.update_time, planned.batch_number, planned.position
    {_OF_PLANNED}
"""
# The limit keeps PostgreSQL's planner, which may still believe that nobody failed, from looking at all who did.
_RETRIED = f"""
    (SELECT planned.message_id, planned.recipient_id, planned.attempt_number {_OF_PLANNED} LIMIT :all) AS retried
"""
_RECIPIENTS = f"""
    SELECT recipients.state, recipients.error_type, COUNT(*) AS how_many
    FROM {_RETRIED} CROSS JOIN recipients
    WHERE recipients.message_id = retried.message_id AND recipients.recipient_id = retried.recipient_id
    GROUP BY recipients.state, recipients.error_type
"""  # noqa: S608
_RETRY = f"""
    UPDATE recipients SET
        state = 'PENDING', attempts = retried.attempt_number, token_generation = 0, error_code = 0, error_subcode = 0,
        error_message = '', error_type = NULL, retry = NULL, last_attempt_time = :time
    FROM {_RETRIED}
    WHERE recipients.message_id = retried.message_id AND recipients.recipient_id = retried.recipient_id
"""  # noqa: S608
_RETRY_WITH_CONTENT = _RETRY.replace("SET", "SET content_round = :round,", 1)
_SET_CONTENT = f"""
    UPDATE recipients SET content_round = :round FROM {_RETRIED}
    WHERE recipients.message_id = retried.message_id AND recipients.recipient_id = retried.recipient_id
"""  # noqa: S608
