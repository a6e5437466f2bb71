"""Rules of the delivery protocol that the model can switch off one at a time; the numbers are the protocol's."""

from dataclasses import dataclass, fields, replace


@dataclass(frozen=True, slots=True)
class Rules:
    """All rules on is the protocol; the comments say what happens without a rule."""

    # Protocol rule 1: claims and outcomes
    claim_is_checked: bool = True  # after a conflict a worker continues although another worker may have the batch
    claim_is_a_number: bool = True  # a claim is valid while the worker's name is the same
    late_outcomes_are_recorded: bool = True  # an answer that arrives after the claim was lost is discarded
    late_outcomes_change_unconfirmed_only: bool = True  # they change deliveries of any status
    # Protocol rule 2: completion
    cancel_affects_pending_only: bool = True  # BatchCancelled also cancels deliveries that are sending
    batch_ends_when_none_is_sending: bool = True  # a cancelled batch is completed at once
    take_over_takes_every_started_batch: bool = True  # only batches with pending deliveries are taken over
    completion_is_in_the_last_append: bool = True  # BatchCompleted is a separate append
    ends_are_swept: bool = True  # a notification of an end arrives once or never
    late_failures_are_swept: bool = True  # the reconciler ignores completed messages
    # Protocol rule 3: guards in the transaction of DeliveriesDispatched, and returned deliveries
    guard_checks_the_message: bool = True  # deliveries of a cancelled or paused message are dispatched
    guard_checks_the_page: bool = True  # a worker with a claim sends for a page that another worker owns
    guard_checks_the_recipient: bool = True  # a recipient known to have received the message is dispatched again
    claim_checks_the_page: bool = True  # any worker claims any batch
    dispatch_is_durable_first: bool = True  # the request leaves before its dispatch is stored
    only_unsent_deliveries_are_returned: bool = True  # requests in flight are returned too
    # Protocol rule 4, protocol rule 5, invariant 5: receipts and unknown outcomes
    evidence_wins: bool = True  # the last event decides
    take_over_reads_receipts: bool = True  # a delivery with a receipt becomes unconfirmed
    take_over_marks_unconfirmed: bool = True  # a delivery that may have left becomes pending again
    unconfirmed_needs_a_request: bool = True  # a plain resend includes unconfirmed deliveries
    every_attempt_counts_as_maybe_sent: bool = True  # only the last attempt counts
    # Protocol rule 6, protocol rule 7: leases and pages
    lease_is_checked_before_each_request: bool = True  # only the append of the dispatch checks it
    lapse_invalidates_dispatches: bool = True  # a lease renewed after a lapse counts as held
    page_moves_only_without_a_lease: bool = True  # any worker takes any page
    release_checks_the_lease: bool = True  # a batch that was found stuck once is released without a new check
    # Protocol rule 8: counts
    counts_fold_recipients: bool = True  # each attempt is counted, not each recipient
    # Stops by the service
    guard_checks_for_a_stop: bool = True  # only the worker that stopped a message stops sending it
    stop_appends_at_the_version_it_loaded: bool = True  # it is appended without a version check
    stop_yields_to_a_resume_or_resend: bool = True  # failures before a resume or a resend stop the message
    abandoned_stop_ends_its_halt: bool = True  # the worker that decided the stop continues to halt the message
    stop_keeps_pending_deliveries: bool = True  # its batches are cancelled
    resume_clears_a_stop: bool = True  # only a pause
    # Protocol rule 11, protocol rule 17: resends
    resend_appends_at_the_version_it_loaded: bool = True  # the recipients are read before the version
    no_automatic_round_while_one_is_open: bool = True  # a round starts as soon as a recipient has failed
    trigger_carries_retry_count: bool = True  # a run of the timer starts a round without comparing the count
    named_resend_limits_automatic_rounds: bool = True  # the next automatic round takes every retryable recipient
    stopped_canary_suspends_automatic_rounds: bool = True  # an automatic round takes the canary's remaining recipients
    append_id_prevents_repeated_commits: bool = True  # a commit without an answer is repeated

    def without(self, rule: str) -> "Rules":
        """Return all rules except one."""
        return replace(self, **{rule: False})


ALL_RULES = Rules()
NAMES = tuple(field.name for field in fields(Rules))
