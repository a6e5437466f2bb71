"""The state of a sandbox: validates each message or token check, applies faults, records it and answers."""

import time

from server.sandbox.answer import Answer, accepted, by_fault, checked, refused
from server.sandbox.effect import UserToken
from server.sandbox.fault_book import FaultBook
from server.sandbox.graph_error import GraphError
from server.sandbox.record import Incoming, Record
from server.sandbox.send_request import SendRequest
from server.sandbox.settings import SandboxSettings
from server.sandbox.token_book import ME, GraphCredentials, TokenBook, TokenOrder, fingerprint
from server.sandbox.webhooks import WebhookOutbox

USER_ID = "10150000000000001"  # of the user whose token is used as a page's


class SandboxState:
    """The state of a sandbox; its methods never await, so that each call sees a consistent state."""

    def __init__(self, settings: SandboxSettings, outbox: WebhookOutbox | None = None) -> None:
        self._settings = settings
        self.outbox = outbox
        self.reset()

    def reset(self) -> None:
        """Reset to the start: nothing received, all tokens valid, the faults of the settings."""
        self.record = Record(self._settings.keep_arrivals)
        self.tokens = TokenBook()
        self.faults = FaultBook(seed=self._settings.seed, clock=time.monotonic)
        self.faults.place(self._settings.faults)
        if self.outbox is not None:
            self.outbox.clear()

    def take_token_order(self, order: TokenOrder) -> None:
        """Change the state of a token."""
        self.tokens.take(order)
        if order.action == "renew":
            self.faults.renew(fingerprint(order.token))

    def is_token_refused(self, credentials: GraphCredentials) -> bool:
        """Return whether these credentials are refused without any fault."""
        token = fingerprint(credentials.access_token)
        return self.tokens.refusal(token, credentials.appsecret_proof) is not None

    def send(
        self, node: str, credentials: GraphCredentials, request: SendRequest | GraphError, *, in_batch: bool = False
    ) -> Answer:
        """Receive one message."""
        token = fingerprint(credentials.access_token)
        page = self.tokens.page(token, node)
        if isinstance(request, GraphError):
            return self._refuse(Incoming("", page, token, in_batch), "", request)
        incoming = Incoming(request.recipient_id, page, token, in_batch)
        error = self.tokens.refusal(token, credentials.appsecret_proof) or request.refusal()
        if error is not None:
            return self._refuse(incoming, request.metadata, error)
        decision = self.faults.decide(incoming)
        answer = by_fault(decision, incoming)
        if answer is not None:
            message_id = self.record.add(incoming, request.metadata, answer.outcome, accepted=decision.accepts)
        else:
            message_id = self.record.add(incoming, request.metadata, "accepted", accepted=True)
            answer = accepted(request.recipient_id, message_id, decision)
        if message_id and self.outbox is not None:
            self.outbox.accepted(page, request.recipient_id, request.metadata, message_id)
        return answer

    def check_token(self, node: str, credentials: GraphCredentials) -> Answer:
        """Answer with the page's id, or with a user's for `me` with a user's token; not recorded."""
        token = fingerprint(credentials.access_token)
        page = self.tokens.page(token, node)
        error = self.tokens.refusal(token, credentials.appsecret_proof)
        if error is not None:
            return refused(error)
        incoming = Incoming(None, page, token)
        decision = self.faults.decide(incoming)
        if isinstance(decision.effect, UserToken):
            return checked(USER_ID if node == ME else page, decision)
        answer = by_fault(decision, incoming)
        if answer is not None:
            return answer
        return checked(page, decision)

    def _refuse(self, incoming: Incoming, metadata: str, error: GraphError) -> Answer:
        self.record.add(incoming, metadata, error.outcome, accepted=False)
        return refused(error)
