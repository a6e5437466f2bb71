"""Every order of the model's steps keeps the invariants, and each rule is necessary."""

import pytest

from tests.model import invariants
from tests.model.explore import explore
from tests.model.rules import ALL_RULES, NAMES
from tests.model.scenarios import (
    AUTO,
    AUTO_ONE,
    BATCH_OF_TWO,
    CANARY,
    CANARY_CRON,
    CRON,
    NAMED,
    ONE_RECIPIENT,
    STOPS,
    STOPS_AUTO,
    STOPS_ONE,
    TWO_BATCHES,
)
from tests.model.state import Scenario

FEWEST_STATES = {
    BATCH_OF_TWO: 200_000,
    TWO_BATCHES: 20_000,
    ONE_RECIPIENT: 30_000,
    AUTO: 4_000,
    AUTO_ONE: 15_000,
    CRON: 8_000,
    NAMED: 100_000,
    CANARY: 90_000,
    CANARY_CRON: 20_000,
    STOPS: 15_000,
    STOPS_ONE: 40_000,
    STOPS_AUTO: 20_000,
}

# Without disturbances except the resend, which gives the shortest trace.
NAMED_UNDISTURBED, CANARY_UNDISTURBED = NAMED._replace(disturbances=1), CANARY._replace(disturbances=1)

# The invariant that breaks without each rule, and the step that breaks it.
BREACHES = {
    "claim_is_checked": (ONE_RECIPIENT, invariants.SEEN, "OutcomesRecorded, SENT"),
    "claim_is_a_number": (BATCH_OF_TWO, invariants.SEEN, "OutcomesRecorded, SENT"),
    "late_outcomes_are_recorded": (ONE_RECIPIENT, invariants.SEEN, "LateOutcomesRecorded, SENT"),
    "cancel_affects_pending_only": (ONE_RECIPIENT, invariants.CLAIM, "RequestLeaves"),
    "batch_ends_when_none_is_sending": (ONE_RECIPIENT, invariants.ENDS, "BatchCancelled"),
    "take_over_takes_every_started_batch": (ONE_RECIPIENT, invariants.NO_LOSS, "run failed"),
    "completion_is_in_the_last_append": (ONE_RECIPIENT, invariants.ENDS, "OutcomesRecorded"),
    "ends_are_swept": (ONE_RECIPIENT, invariants.NO_LOSS, "crash"),
    "late_failures_are_swept": (AUTO_ONE, invariants.NO_LOSS, "crash"),
    "guard_checks_the_message": (ONE_RECIPIENT, invariants.STOPPED, "DeliveriesDispatched"),
    "guard_checks_the_page": (ONE_RECIPIENT, invariants.CLAIM, "RequestLeaves"),
    "guard_checks_the_recipient": (ONE_RECIPIENT, invariants.KNOWN_SENT, "DeliveriesDispatched"),
    "claim_checks_the_page": (ONE_RECIPIENT, invariants.CLAIM, "RequestLeaves"),
    "dispatch_is_durable_first": (ONE_RECIPIENT, invariants.DURABLE, "RequestLeaves"),
    "only_unsent_deliveries_are_returned": (BATCH_OF_TWO, invariants.TWICE, "OutcomesRecorded, SENT"),
    "evidence_wins": (ONE_RECIPIENT, invariants.KNOWN_SENT, "DeliveriesDispatched"),
    "take_over_marks_unconfirmed": (ONE_RECIPIENT, invariants.TWICE, "OutcomesRecorded, SENT"),
    "unconfirmed_needs_a_request": (ONE_RECIPIENT, invariants.TWICE, "OutcomesRecorded, SENT"),
    "every_attempt_counts_as_maybe_sent": (ONE_RECIPIENT, invariants.TWICE, "OutcomesRecorded, SENT"),
    "lease_is_checked_before_each_request": (ONE_RECIPIENT, invariants.CLAIM, "RequestLeaves"),
    "lapse_invalidates_dispatches": (ONE_RECIPIENT, invariants.CLAIM, "RequestLeaves"),
    "page_moves_only_without_a_lease": (ONE_RECIPIENT, invariants.CLAIM, "RequestLeaves"),
    "release_checks_the_lease": (ONE_RECIPIENT, invariants.CLAIM, "RequestLeaves"),
    "counts_fold_recipients": (ONE_RECIPIENT, invariants.COUNTS, "ReceiptRecorded"),
    "resend_appends_at_the_version_it_loaded": (ONE_RECIPIENT, invariants.ONE_OPEN, "RetryRequested"),
    "no_automatic_round_while_one_is_open": (AUTO, invariants.AUTOMATIC, "MessageCompleted"),
    "trigger_carries_retry_count": (CRON, invariants.ONE_TRIGGER, "RetryRequested"),
    "named_resend_limits_automatic_rounds": (NAMED_UNDISTURBED, invariants.CONFIRMED, "RetryRequested"),
    "stopped_canary_suspends_automatic_rounds": (CANARY_UNDISTURBED, invariants.SUSPENDED, "RetryRequested"),
    "guard_checks_for_a_stop": (STOPS, invariants.STOPPED, "DeliveriesDispatched"),
    "stop_appends_at_the_version_it_loaded": (STOPS, invariants.STOP_IS_ALLOWED, "MessageStopped"),
    "stop_yields_to_a_resume_or_resend": (STOPS, invariants.STOP_IS_NEW, "MessageStopped"),
    "abandoned_stop_ends_its_halt": (STOPS, invariants.NO_LOSS, "MessageResumed"),
    "stop_keeps_pending_deliveries": (STOPS, invariants.KEPT, "BatchCancelled"),
    "resume_clears_a_stop": (STOPS, invariants.NO_LOSS, "MessageResumed"),
    "append_id_prevents_repeated_commits": (ONE_RECIPIENT, invariants.ONE_ORDER, "RetryRequested"),
}

# No invariant breaks without these: while evidence_wins is on, they only keep the log free of contradictions.
COVERED_BY_ANOTHER_RULE = ("late_outcomes_change_unconfirmed_only", "take_over_reads_receipts")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("scenario", FEWEST_STATES, ids=lambda scenario: scenario.name)
def test_all_rules_together_keep_every_invariant(scenario: Scenario) -> None:
    found = explore(scenario, ALL_RULES)

    assert found.breach is None, str(found.breach)
    assert found.states > FEWEST_STATES[scenario]


@pytest.mark.parametrize("rule", BREACHES)
def test_an_invariant_breaks_without_one_rule(rule: str) -> None:
    scenario, invariant, last_step = BREACHES[rule]

    breach = explore(scenario, ALL_RULES.without(rule)).breach

    assert breach is not None
    assert breach.invariant == invariant, str(breach)
    assert breach.trace[-1].startswith(last_step), str(breach)


@pytest.mark.parametrize("rule", COVERED_BY_ANOTHER_RULE)
def test_no_invariant_breaks_without_a_rule_that_another_covers(rule: str) -> None:
    found = explore(ONE_RECIPIENT, ALL_RULES.without(rule))

    assert found.breach is None, str(found.breach)


def test_without_evidence_a_late_outcome_changes_a_sent_delivery() -> None:
    breach = explore(
        ONE_RECIPIENT, ALL_RULES.without("evidence_wins").without("late_outcomes_change_unconfirmed_only")
    ).breach

    assert breach is not None
    assert breach.invariant == invariants.SENT_STAYS, str(breach)


def test_every_rule_is_switched_off_in_a_test() -> None:
    assert set(NAMES) == {*BREACHES, *COVERED_BY_ANOTHER_RULE}
