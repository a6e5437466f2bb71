"""The scenarios that are explored; each holds every way in which so many disturbances can fall into the work."""

from domain.retry import RetryType
from tests.model.state import Scenario

BATCH_OF_TWO = Scenario("a batch of two", ((0, 1),), disturbances=3)
TWO_BATCHES = Scenario("two batches of one", ((0,), (1,)), disturbances=2)
ONE_PERSON = Scenario("one person", ((0,),), disturbances=4)
AUTO = Scenario("automatic rounds", ((0, 1),), disturbances=1, retry_type=RetryType.AUTO, max_retry_attempts=1)
AUTO_ONE = Scenario("automatic rounds, one person", ((0,),), 3, RetryType.AUTO, max_retry_attempts=1)
CRON = Scenario("the retry timer", ((0,),), disturbances=3, retry_type=RetryType.CRON)
STOPS = Scenario("a message that the service stops", ((0, 1),), disturbances=2, stops=True)
STOPS_ONE = Scenario("a message to one person that the service stops", ((0,),), disturbances=4, stops=True)
STOPS_AUTO = Scenario(
    "automatic rounds, stopped", ((0,),), 3, retry_type=RetryType.AUTO, max_retry_attempts=1, stops=True
)

NAMED = Scenario("a named resend", ((0, 1),), 2, RetryType.AUTO, 1, by_hand="named")
CANARY = Scenario("a canary", ((0, 1),), 2, RetryType.AUTO, 1, by_hand="canary")
CANARY_CRON = Scenario("a canary, and the retry timer", ((0, 1),), 2, RetryType.CRON, 1, by_hand="canary")

SCENARIOS = (
    *(BATCH_OF_TWO, TWO_BATCHES, ONE_PERSON, AUTO, AUTO_ONE, CRON, STOPS, STOPS_ONE, STOPS_AUTO),
    *(NAMED, CANARY, CANARY_CRON),
)
