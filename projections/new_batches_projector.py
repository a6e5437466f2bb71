"""The effect of new batches on all read models.

Each table is changed by one statement for many batches: a resend round can have a thousand batches, and its caller
waits until they are planned.
"""

from collections import Counter

from domain.delivery import DeliveryStatus
from projections import batches, deliveries, failures, sealed_names
from projections.affected_deliveries import AffectedDeliveries, CountChange, CountKey, count_rows
from projections.count_deltas import CountDeltas
from projections.new_batches import NewBatches
from projections.sql import BulkRows, Sql, micros


def apply(sql: Sql, new: NewBatches, deltas: CountDeltas) -> None:
    """Update all read models."""
    prior = deltas.prior_states.before(sql, new.first)
    batches.insert(sql, new)
    deliveries.insert(sql, new)
    sealed_names.insert(sql, new)
    have_recipients = prior.has_retries or prior.is_cleaned
    change = _update_recipients(sql, new, is_cleaned=prior.is_cleaned) if have_recipients else _insert(sql, new)
    message_id = new.first.message_id
    deltas.add(message_id, change.by_state, micros(new.first.time), is_started=False)
    deltas.record_position(message_id, new.log_positions[-1])
    failures.add_counts(sql, message_id, change.by_error_type)


def _insert(sql: Sql, new: NewBatches) -> CountChange:
    """Insert the recipients of first attempts."""
    sql.execute(_INSERT, new.shared_parameters, new.numbers)
    return CountChange(Counter(), Counter({_PENDING: new.recipients}))


def _update_recipients(sql: Sql, new: NewBatches, *, is_cleaned: bool) -> CountChange:
    """Update existing recipients; if all are FAILED or UNCONFIRMED, the new attempts decide their state."""
    parameters = {**new.shared_parameters, "all": new.recipients}
    before = count_rows(sql.rows(_RECIPIENTS, parameters, new.numbers))
    if all(count_key.state in _FAILED for count_key in before):
        sql.execute(_RETRY_WITH_CONTENT if new.has_new_content else _RETRY, parameters, new.numbers)
        return CountChange(before, Counter({_PENDING: new.recipients}))
    if new.has_new_content:
        sql.execute(_SET_CONTENT, parameters, new.numbers)
    return _update_from_all_attempts(sql, new, is_cleaned=is_cleaned)


def _update_from_all_attempts(sql: Sql, new: NewBatches, *, is_cleaned: bool) -> CountChange:
    """Update recipients of which some are SENT by now, or have another open attempt."""
    before, after = Counter[CountKey](), Counter[CountKey]()
    for batch in new.created:
        place = {"message_id": batch.message_id, "batch_number": batch.batch_number}
        positions = BulkRows((("position", int),), [(position,) for position in range(len(batch.recipients))])
        change = AffectedDeliveries(place, positions).update_new_recipients(sql, is_cleaned=is_cleaned)
        before += change.before
        after += change.after
    return CountChange(before, after)


_PENDING = CountKey(DeliveryStatus.PENDING, None)
_FAILED = frozenset((DeliveryStatus.FAILED, DeliveryStatus.UNCONFIRMED))
# The attempts are read from the delivery rows just inserted: passing all recipients to the database again is slower.
_FROM_CREATED = """
    FROM given CROSS JOIN deliveries created
    WHERE created.message_id = :message_id AND created.batch_number = given.number
"""
_INSERT = f"""
    INSERT INTO recipients (message_id, recipient_id, recipient_name, state, attempts, last_attempt_time,
                            origin_batch, origin_position)
    SELECT created.message_id, created.recipient_id, created.recipient_name, created.status, created.attempt_number,
           created.update_time, created.batch_number, created.position
    {_FROM_CREATED}
"""
# Without the limit PostgreSQL's planner, whose statistics may show no failed recipients yet, would scan all of them.
_RETRIED = f"""
    (SELECT created.message_id, created.recipient_id, created.attempt_number {_FROM_CREATED} LIMIT :all) AS retried
"""
_RECIPIENTS = f"""
    SELECT recipients.state, recipients.error_type, COUNT(*) AS row_count
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
