"""The rules that the model can do without, one at a time; numbers are those of the delivery protocol.

`NOT_NEEDED` names those that no invariant misses, since another rule closes the same traces.
"""

from dataclasses import dataclass, fields, replace


@dataclass(frozen=True, slots=True)
class Rules:
    """Every switch on is the protocol; the comment says what is done without it."""

    # Claims and outcomes (1)
    claim_is_checked: bool = True  # a worker goes on after a conflict, whoever has the batch
    claim_is_a_number: bool = True  # the claim is its own when the name is
    late_outcomes_are_recorded: bool = True  # an answer that comes after the claim was lost is thrown away
    late_outcomes_change_unconfirmed_only: bool = True  # they change whatever they meet
    # Ends (2)
    cancel_takes_pending_only: bool = True  # BatchCancelled cancels what is sending too
    batch_ends_when_none_is_sending: bool = True  # a cancelled batch ends at once
    take_over_takes_every_started_batch: bool = True  # only those with something pending
    completed_stands_with_the_last_outcome: bool = True  # BatchCompleted is an append of its own
    ends_are_swept: bool = True  # an end is heard of once, or never
    late_failures_are_swept: bool = True  # the sweep looks at unfinished messages only
    # The transaction of DeliveriesDispatched, and what is returned (3)
    guard_asks_for_the_message: bool = True  # a cancelled or paused message's deliveries are dispatched
    guard_asks_for_the_page: bool = True  # another's page is sent for while the batch's claim is one's own
    guard_asks_for_the_recipient: bool = True  # who is known to have been sent the message is dispatched
    claim_asks_for_the_page: bool = True  # anybody claims any batch
    dispatch_is_durable_first: bool = True  # the request leaves, then it is written down
    returned_did_not_leave: bool = True  # what is in flight is returned too
    # Evidence and outcomes unknown (4, 5, invariant 5)
    evidence_wins: bool = True  # the last event wins
    take_over_reads_receipts: bool = True  # it calls unconfirmed what has a receipt
    take_over_marks_unconfirmed: bool = True  # it puts back to pending what may have left
    unconfirmed_needs_asking: bool = True  # a plain resend takes unconfirmed deliveries
    every_attempt_counts_as_maybe_sent: bool = True  # only the last attempt is looked at
    # Leases and pages (6, 7)
    lease_is_checked_before_each_request: bool = True  # the append's return is enough
    lapse_voids_what_was_dispatched: bool = True  # a lease renewed after it lapsed is as good as one that was held
    page_moves_only_without_a_lease: bool = True  # anybody takes any page
    release_asks_for_the_lease: bool = True  # a batch found stuck is freed later, whatever happened meanwhile
    # Counting (8)
    counts_fold_recipients: bool = True  # each attempt is counted by itself
    # Resends (11, 17)
    resend_appends_at_the_version_it_loaded: bool = True  # whom to resend is read first, the version last
    no_automatic_round_while_one_is_open: bool = True  # a round starts as soon as somebody has failed
    trigger_carries_retry_count: bool = True  # a timer's run starts a round, whatever it had seen
    append_id_tells_what_was_written: bool = True  # when the commit's answer is lost it is made again

    def without(self, rule: str) -> "Rules":
        """All rules but one."""
        return replace(self, **{rule: False})


ALL_RULES = Rules()
NAMES = tuple(field.name for field in fields(Rules))
