"""The rules that the model can do without, one at a time; numbers are those of the delivery protocol."""

from dataclasses import dataclass, fields, replace


@dataclass(frozen=True, slots=True)
class Rules:
    """With all of them on it is the protocol; beside each stands what is done without it."""

    # Rule 1: claims and outcomes
    claim_is_checked: bool = True  # after a conflict a worker goes on, whoever has the batch
    claim_is_a_number: bool = True  # a claim is its own when the worker's name is
    late_outcomes_are_recorded: bool = True  # an answer that comes after the claim was lost is thrown away
    late_outcomes_change_unconfirmed_only: bool = True  # they change whatever they meet
    # Rule 2: ends
    cancel_takes_pending_only: bool = True  # BatchCancelled cancels what is sending too
    batch_ends_when_none_is_sending: bool = True  # a cancelled batch ends at once
    take_over_takes_every_started_batch: bool = True  # only those with something pending
    completed_stands_with_the_last_outcome: bool = True  # BatchCompleted is an append of its own
    ends_are_swept: bool = True  # an end is heard of once, or never
    late_failures_are_swept: bool = True  # the sweep passes over messages that are completed
    # Rule 3: guards in the transaction of DeliveriesDispatched, and what is returned
    guard_asks_for_the_message: bool = True  # deliveries of a cancelled or paused message are dispatched
    guard_asks_for_the_page: bool = True  # another's page is sent for while the batch's claim is one's own
    guard_asks_for_the_recipient: bool = True  # who is known to have been sent the message is sent it again
    claim_asks_for_the_page: bool = True  # anybody claims any batch
    dispatch_is_durable_first: bool = True  # the request leaves, then it is written down
    returned_did_not_leave: bool = True  # what is in flight is returned too
    # Rules 4 and 5, invariant 5: evidence, and outcomes that are unknown
    evidence_wins: bool = True  # the last event wins
    take_over_reads_receipts: bool = True  # it calls unconfirmed what has a receipt
    take_over_marks_unconfirmed: bool = True  # what may have left is pending again
    unconfirmed_needs_asking: bool = True  # a plain resend takes unconfirmed deliveries
    every_attempt_counts_as_maybe_sent: bool = True  # only the last attempt is looked at
    # Rules 6 and 7: leases and pages
    lease_is_checked_before_each_request: bool = True  # that the append came back is enough
    lapse_voids_what_was_dispatched: bool = True  # a lease renewed after a lapse is as good as one that was held
    page_moves_only_without_a_lease: bool = True  # anybody takes any page
    release_asks_for_the_lease: bool = True  # a batch once found stuck is freed, whatever happened since
    # Rule 8: counting
    counts_fold_recipients: bool = True  # each attempt is counted by itself
    # Stops by the service itself
    guard_asks_for_a_stop: bool = True  # a stopped message halts in the worker that stopped it only
    stop_appends_at_the_version_it_loaded: bool = True  # it is appended, whatever happened since
    stop_gives_way_to_a_decision_to_go_on: bool = True  # failures of before a resume or a resend stop the message
    a_stop_given_up_ends_its_halt: bool = True  # the worker that decided it goes on halting the message
    stop_keeps_what_is_pending: bool = True  # its batches are cancelled
    resume_lifts_a_stop: bool = True  # only a pause
    # Rules 11 and 17: resends
    resend_appends_at_the_version_it_loaded: bool = True  # whom to resend is read first, the version last
    no_automatic_round_while_one_is_open: bool = True  # a round starts as soon as somebody has failed
    trigger_carries_retry_count: bool = True  # a run of the timer starts a round, whatever happened since it looked
    named_resend_limits_automatic_rounds: bool = True  # the round after it takes every recipient that can be retried
    stopped_canary_suspends_automatic_rounds: bool = True  # an automatic round takes the rest that the canary spared
    append_id_tells_what_was_written: bool = True  # a commit whose answer is lost is made again

    def without(self, rule: str) -> "Rules":
        """All rules but one."""
        return replace(self, **{rule: False})


ALL_RULES = Rules()
NAMES = tuple(field.name for field in fields(Rules))
