"""The protocol's rules, held against every order in which the model's steps can fall."""

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
    ONE_PERSON,
    STOPS,
    STOPS_AUTO,
    STOPS_ONE,
    TWO_BATCHES,
)
from tests.model.state import Scenario

FEWEST_STATES = {
    BATCH_OF_TWO: 200_000,
    TWO_BATCHES: 20_000,
    ONE_PERSON: 30_000,
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

# Without anything but the resend, which is the shortest way to what the rule is for.
NAMED_CALMLY, CANARY_CALMLY = NAMED._replace(disturbances=1), CANARY._replace(disturbances=1)

# What breaks without each rule, and the step that breaks it.
BREACHES = {
    "claim_is_checked": (ONE_PERSON, invariants.SEEN, "OutcomesRecorded, SENT"),
    "claim_is_a_number": (BATCH_OF_TWO, invariants.SEEN, "OutcomesRecorded, SENT"),
    "late_outcomes_are_recorded": (ONE_PERSON, invariants.SEEN, "LateOutcomesRecorded, SENT"),
    "cancel_takes_pending_only": (ONE_PERSON, invariants.CLAIM, "RequestLeaves"),
    "batch_ends_when_none_is_sending": (ONE_PERSON, invariants.ENDS, "BatchCancelled"),
    "take_over_takes_every_started_batch": (ONE_PERSON, invariants.NO_LOSS, "run broke"),
    "completed_stands_with_the_last_outcome": (ONE_PERSON, invariants.ENDS, "OutcomesRecorded"),
    "ends_are_swept": (ONE_PERSON, invariants.NO_LOSS, "crash"),
    "late_failures_are_swept": (AUTO_ONE, invariants.NO_LOSS, "crash"),
    "guard_asks_for_the_message": (ONE_PERSON, invariants.STOPPED, "DeliveriesDispatched"),
    "guard_asks_for_the_page": (ONE_PERSON, invariants.CLAIM, "RequestLeaves"),
    "guard_asks_for_the_recipient": (ONE_PERSON, invariants.KNOWN_SENT, "DeliveriesDispatched"),
    "claim_asks_for_the_page": (ONE_PERSON, invariants.CLAIM, "RequestLeaves"),
    "dispatch_is_durable_first": (ONE_PERSON, invariants.DURABLE, "RequestLeaves"),
    "returned_did_not_leave": (BATCH_OF_TWO, invariants.TWICE, "OutcomesRecorded, SENT"),
    "evidence_wins": (ONE_PERSON, invariants.KNOWN_SENT, "DeliveriesDispatched"),
    "take_over_marks_unconfirmed": (ONE_PERSON, invariants.TWICE, "OutcomesRecorded, SENT"),
    "unconfirmed_needs_asking": (ONE_PERSON, invariants.TWICE, "OutcomesRecorded, SENT"),
    "every_attempt_counts_as_maybe_sent": (ONE_PERSON, invariants.TWICE, "OutcomesRecorded, SENT"),
    "lease_is_checked_before_each_request": (ONE_PERSON, invariants.CLAIM, "RequestLeaves"),
    "lapse_voids_what_was_dispatched": (ONE_PERSON, invariants.CLAIM, "RequestLeaves"),
    "page_moves_only_without_a_lease": (ONE_PERSON, invariants.CLAIM, "RequestLeaves"),
    "release_asks_for_the_lease": (ONE_PERSON, invariants.CLAIM, "RequestLeaves"),
    "counts_fold_recipients": (ONE_PERSON, invariants.BOOKS, "ReceiptRecorded"),
    "resend_appends_at_the_version_it_loaded": (ONE_PERSON, invariants.ONE_OPEN, "RetryRequested"),
    "no_automatic_round_while_one_is_open": (AUTO, invariants.AUTOMATIC, "MessageCompleted"),
    "trigger_carries_retry_count": (CRON, invariants.ONE_TRIGGER, "RetryRequested"),
    "named_resend_limits_automatic_rounds": (NAMED_CALMLY, invariants.CONFIRMED, "RetryRequested"),
    "stopped_canary_suspends_automatic_rounds": (CANARY_CALMLY, invariants.SUSPENDED, "RetryRequested"),
    "guard_asks_for_a_stop": (STOPS, invariants.STOPPED, "DeliveriesDispatched"),
    "stop_appends_at_the_version_it_loaded": (STOPS, invariants.STOP_IN_TURN, "MessageStopped"),
    "stop_gives_way_to_a_decision_to_go_on": (STOPS, invariants.STOP_IS_NEW, "MessageStopped"),
    "a_stop_given_up_ends_its_halt": (STOPS, invariants.NO_LOSS, "MessageResumed"),
    "stop_keeps_what_is_pending": (STOPS, invariants.KEPT, "BatchCancelled"),
    "resume_lifts_a_stop": (STOPS, invariants.NO_LOSS, "MessageResumed"),
    "append_id_tells_what_was_written": (ONE_PERSON, invariants.ONE_ORDER, "RetryRequested"),
}

# Nothing is broken without these: while evidence wins over every event, they only keep the log from contradicting it.
NOT_MISSED = ("late_outcomes_change_unconfirmed_only", "take_over_reads_receipts")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("scenario", FEWEST_STATES, ids=lambda scenario: scenario.name)
def test_with_all_rules_no_state_breaks_an_invariant(scenario: Scenario) -> None:
    found = explore(scenario, ALL_RULES)

    assert found.breach is None, str(found.breach)
    assert found.states > FEWEST_STATES[scenario]


@pytest.mark.parametrize("rule", BREACHES)
def test_without_one_rule_an_invariant_breaks(rule: str) -> None:
    scenario, invariant, last_step = BREACHES[rule]

    breach = explore(scenario, ALL_RULES.without(rule)).breach

    assert breach is not None
    assert breach.invariant == invariant, str(breach)
    assert breach.trace[-1].startswith(last_step), str(breach)


@pytest.mark.parametrize("rule", NOT_MISSED)
def test_without_a_rule_that_another_covers_no_invariant_breaks(rule: str) -> None:
    found = explore(ONE_PERSON, ALL_RULES.without(rule))

    assert found.breach is None, str(found.breach)


def test_without_evidence_a_late_outcome_takes_back_what_was_sent() -> None:
    breach = explore(
        ONE_PERSON, ALL_RULES.without("evidence_wins").without("late_outcomes_change_unconfirmed_only")
    ).breach

    assert breach is not None
    assert breach.invariant == invariants.SENT_STAYS, str(breach)


def test_every_rule_is_switched_off_once() -> None:
    assert set(NAMES) == {*BREACHES, *NOT_MISSED}
