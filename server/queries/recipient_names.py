"""Recipients' names, decrypted for some rows at a time; the name of an erased person is empty."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

import msgspec

from projections import erasures, sealed_names
from projections.delivery_rows import DeliveryRow
from projections.recipient_rows import RecipientRow, origins
from projections.retry_groups import FailedRecipientRow
from projections.sealed_names import BatchKey
from projections.sql import Sql
from server.crypto import person_keys
from server.crypto.person_keys import BatchKeys, PersonErasedError, unpack
from server.crypto.vault import Vault
from server.eventstore.commit import EventLog
from server.queries.failures import Failure

R = TypeVar("R", DeliveryRow, RecipientRow, FailedRecipientRow)
_Place = tuple[str, int, int]  # of a recipient's first attempt: message id, batch number, position


class _OpenedNames:
    """The sealed names of some batches, and the keys that open them."""

    def __init__(self, sql: Sql, vault: Vault, batches: Sequence[BatchKey]) -> None:
        self._names = {batch: unpack(names) for batch, names in sealed_names.of_batches(sql, batches).items()}
        self._keys: Mapping[BatchKey, BatchKeys] = {
            batch: person_keys.open_keys(vault, batch, sealed)
            for batch, sealed in person_keys.load_sealed_keys(sql, list(self._names)).items()
        }

    def name(self, place: _Place) -> str | None:
        """Return the name of the recipient at a place, or None if the batch has no sealed names."""
        batch, position = place[:2], place[2]
        if batch not in self._names:
            return None
        try:
            return self._keys[batch].key_at(position).name(self._names[batch][position])
        except (PersonErasedError, KeyError):
            return ""


class RecipientNames:
    """Opens the names that read models hold sealed."""

    def __init__(self, log: EventLog, vault: Vault) -> None:
        self._log = log
        self._vault = vault
        self.ids = vault.ids  # makes the ids of deliveries that are shown with the names

    async def of_failures(self, failures: Sequence[Failure], message_id: str) -> Sequence[Failure]:
        """Return a message's failures with their recipients' names; raises Unavailable."""
        rows = await self.open_in([failure.row for failure in failures], message_id)
        return [msgspec.structs.replace(failure, row=row) for failure, row in zip(failures, rows, strict=True)]

    async def open_in(self, rows: Sequence[R], message_id: str = "") -> Sequence[R]:
        """Return rows with their recipients' names. Give the `message_id` of rows without one. Raises Unavailable."""
        return await self._log.read(lambda sql: self._open_in(sql, rows, message_id)) if rows else rows

    def _open_in(self, sql: Sql, rows: Sequence[R], message_id: str) -> Sequence[R]:
        """Open the names. Past states may hold unsealed names, which are dropped if the person was erased since."""
        places = _places(sql, rows, message_id)
        names = _OpenedNames(sql, self._vault, list({place[:2] for place in places}))
        erased = erasures.ever_erased(sql, [row.recipient_id for row in rows if row.recipient_name])
        found = []
        for row, place in zip(rows, places, strict=True):
            name = names.name(place)
            if name is None:
                name = "" if row.recipient_id in erased else row.recipient_name
            found.append(msgspec.structs.replace(row, recipient_name=name) if name != row.recipient_name else row)
        return found


def _places(sql: Sql, rows: Sequence[R], message_id: str) -> Sequence[_Place]:
    """Return the place of each row's first attempt; for later attempts the recipients' rows have it."""
    later = [(row.message_id, row.recipient_id) for row in rows if isinstance(row, DeliveryRow) and not _is_first(row)]
    found = origins(sql, later) if later else {}
    return [_place(row, message_id, found) for row in rows]


def _is_first(row: DeliveryRow) -> bool:
    return row.attempt_number == 1


def _place(row: R, message_id: str, origin_of: Mapping[tuple[str, str], tuple[int, int]]) -> _Place:
    if isinstance(row, FailedRecipientRow):
        return message_id, row.origin_batch, row.origin_position
    if isinstance(row, RecipientRow):
        return row.message_id, row.origin_batch, row.origin_position
    if _is_first(row):
        return row.message_id, row.batch_number, row.position
    return row.message_id, *origin_of.get((row.message_id, row.recipient_id), (row.batch_number, row.position))
