"""Takes one message or token check: checks it, does what was ordered, writes it down, answers."""

import time

from server.sandbox.answer import Answer, checked, ordered, refused, taken
from server.sandbox.effect import UserToken
from server.sandbox.fault_book import FaultBook
from server.sandbox.graph_error import GraphError
from server.sandbox.record import Incoming, Record
from server.sandbox.send_request import SendRequest
from server.sandbox.settings import SandboxSettings
from server.sandbox.token_book import ME, Credentials, TokenBook, TokenOrder, fingerprint
from server.sandbox.webhooks import WebhookOutbox

USER_ID = "10150000000000001"  # of the user whose token is taken for a page's


class Reception:
    """One sandbox's state. Nothing in it waits, so each call sees a whole state and leaves one."""

    def __init__(self, settings: SandboxSettings, outbox: WebhookOutbox | None = None) -> None:
        self._settings = settings
        self.outbox = outbox
        self.reset()

    def reset(self) -> None:
        """Goes back to how it started: nothing received, all tokens good, the faults of the settings."""
        self.record = Record(self._settings.keep_arrivals)
        self.tokens = TokenBook()
        self.faults = FaultBook(seed=self._settings.seed, clock=time.monotonic)
        self.faults.place(self._settings.faults)
        if self.outbox is not None:
            self.outbox.clear()

    def take_token_order(self, order: TokenOrder) -> None:
        """Does what an order about a token says."""
        self.tokens.take(order)
        if order.action == "renew":
            self.faults.renew(fingerprint(order.token))

    def is_token_refused(self, credentials: Credentials) -> bool:
        """Whether these credentials are no good as they are, without any fault."""
        token = fingerprint(credentials.access_token)
        return self.tokens.refusal(token, credentials.appsecret_proof) is not None

    def send(
        self, node: str, credentials: Credentials, request: SendRequest | GraphError, *, in_batch: bool = False
    ) -> Answer:
        """Takes one message."""
        token = fingerprint(credentials.access_token)
        page = self.tokens.page(token, node)
        if isinstance(request, GraphError):
            return self._refuse(Incoming("", page, token, in_batch), "", request)
        incoming = Incoming(request.recipient_id, page, token, in_batch)
        error = self.tokens.refusal(token, credentials.appsecret_proof) or request.refusal()
        if error is not None:
            return self._refuse(incoming, request.metadata, error)
        verdict = self.faults.decide(incoming)
        answer = ordered(verdict, incoming)
        if answer is not None:
            message_id = self.record.add(incoming, request.metadata, answer.outcome, accepted=verdict.accepts)
        else:
            message_id = self.record.add(incoming, request.metadata, "accepted", accepted=True)
            answer = taken(request.recipient_id, message_id, verdict)
        if message_id and self.outbox is not None:
            self.outbox.accepted(page, request.recipient_id, request.metadata, message_id)
        return answer

    def check_token(self, node: str, credentials: Credentials) -> Answer:
        """Answer with the page's id, or with a user's for `me` with a user's token; not written down."""
        token = fingerprint(credentials.access_token)
        page = self.tokens.page(token, node)
        error = self.tokens.refusal(token, credentials.appsecret_proof)
        if error is not None:
            return refused(error)
        incoming = Incoming(None, page, token)
        verdict = self.faults.decide(incoming)
        if isinstance(verdict.effect, UserToken):
            return checked(USER_ID if node == ME else page, verdict)
        answer = ordered(verdict, incoming)
        if answer is not None:
            return answer
        return checked(page, verdict)

    def _refuse(self, incoming: Incoming, metadata: str, error: GraphError) -> Answer:
        self.record.add(incoming, metadata, error.outcome, accepted=False)
        return refused(error)
