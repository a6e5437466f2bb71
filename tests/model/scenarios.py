"""Scenarios to explore; each includes every order in which its disturbances can occur."""

from domain.retry import RetryType
from tests.model.state import Scenario

BATCH_OF_TWO = Scenario("a batch of two", ((0, 1),), disturbances=3)
TWO_BATCHES = Scenario("two batches of one", ((0,), (1,)), disturbances=2)
ONE_RECIPIENT = Scenario("one recipient", ((0,),), disturbances=4)
AUTO = Scenario("automatic rounds", ((0, 1),), disturbances=1, retry_type=RetryType.AUTO, max_retry_attempts=1)
AUTO_ONE = Scenario("automatic rounds, one recipient", ((0,),), 3, RetryType.AUTO, max_retry_attempts=1)
CRON = Scenario("the retry timer", ((0,),), disturbances=3, retry_type=RetryType.CRON)
STOPS = Scenario("a message that the service stops", ((0, 1),), disturbances=2, stops=True)
STOPS_ONE = Scenario("a message to one recipient that the service stops", ((0,),), disturbances=4, stops=True)
STOPS_AUTO = Scenario(
    "automatic rounds, stopped", ((0,),), 3, retry_type=RetryType.AUTO, max_retry_attempts=1, stops=True
)

NAMED = Scenario("a named resend", ((0, 1),), 2, RetryType.AUTO, 1, manual_resend="named")
CANARY = Scenario("a canary", ((0, 1),), 2, RetryType.AUTO, 1, manual_resend="canary")
CANARY_CRON = Scenario("a canary, and the retry timer", ((0, 1),), 2, RetryType.CRON, 1, manual_resend="canary")

SCENARIOS = (
    *(BATCH_OF_TWO, TWO_BATCHES, ONE_RECIPIENT, AUTO, AUTO_ONE, CRON, STOPS, STOPS_ONE, STOPS_AUTO),
    *(NAMED, CANARY, CANARY_CRON),
)
