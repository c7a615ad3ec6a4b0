"""Switches that every worker obeys and that survive a restart: the lockdown, and the legal hold.

A lockdown is released by another admin than the one who engaged it; one that the service engaged itself
(`AUTOMATIC`) by any admin. A legal hold stops retention. Whoever turns a switch also records it.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import Connection, RowMapping, delete, insert, select

from hilum.domain.errors import InputError
from hilum.domain.thresholds import JOURNAL_MAX_TEXT
from hilum.journal.clock import Clock, format_utc, now_utc, parse_utc
from hilum.journal.storage import Storage
from hilum.journal.tables import SwitchRow

SwitchName = Literal["lockdown", "legal-hold"]

AUTOMATIC = "automatic"
"""Who engages a lockdown when no person does: a broken chain."""

_CODE = re.compile(r"[a-z0-9][a-z0-9-]{0,63}", re.ASCII)
_TABLE = SwitchRow.__table__


@dataclass(frozen=True, slots=True)
class SwitchState:
    """How a switch stands: since when, by whom, and why (a code)."""

    is_on: bool
    reason_code: str = ""
    by: str = ""
    at: datetime | None = None


class Switches:
    """The switches of a service.

    Parameters
    ----------
    storage
        The journal's database.
    clock
        Gives the timestamps.
    """

    def __init__(self, storage: Storage, *, clock: Clock = now_utc) -> None:
        self._storage, self._clock = storage, clock

    def state(self, name: SwitchName = "lockdown") -> SwitchState:
        """Return how a switch stands now, over all processes; off when it was never turned.

        Raises
        ------
        JournalUnavailable
            It cannot be read: take it as on.
        """
        with self._storage.read() as connection:
            return read_switch(connection, name)

    def engage(self, name: SwitchName = "lockdown", *, by: str, reason_code: str) -> SwitchState:
        """Turn a switch on; when it is on already nothing changes, so that nobody hides who did it first.

        Parameters
        ----------
        name
            The switch.
        by
            The admin's key id, or AUTOMATIC.
        reason_code
            Small letters, digits and hyphens.

        Raises
        ------
        InputError
            The reason is no code.
        """
        if _CODE.fullmatch(reason_code) is None:
            raise InputError("switch: the reason is a code of small letters, digits and hyphens, at most 64")
        with self._storage.write() as connection:
            before = read_switch(connection, name)
            if before.is_on:
                return before
            return self._turn(connection, name, True, by, reason_code)

    def release(self, name: SwitchName = "lockdown", *, by: str) -> SwitchState:
        """Turn a switch off.

        Raises
        ------
        InputError
            The one who engaged it wants to release it; another admin must.
        """
        with self._storage.write() as connection:
            before = read_switch(connection, name)
            if not before.is_on:
                return before
            if by in {before.by, AUTOMATIC}:
                raise InputError("switch: another admin must release it than the one who engaged it")
            return self._turn(connection, name, False, by, before.reason_code)

    def _turn(
        self, connection: Connection, name: SwitchName, is_on: bool, by: str, reason_code: str
    ) -> SwitchState:
        if not 0 < len(by) <= JOURNAL_MAX_TEXT or not by.isprintable():
            raise InputError("switch: say by whom, with the id of a key")
        now = self._clock()
        connection.execute(delete(SwitchRow).where(SwitchRow.name == name))
        row = {"name": name, "is_on": is_on, "reason_code": reason_code, "changed_by": by}
        connection.execute(insert(SwitchRow), row | {"changed_at": format_utc(now)})
        return SwitchState(is_on, reason_code, by, now)


def read_switch(connection: Connection, name: SwitchName) -> SwitchState:
    """Return how a switch stands in a view or a transaction."""
    query = select(_TABLE).where(SwitchRow.name == name)
    row: RowMapping | None = connection.execute(query).mappings().one_or_none()
    if row is None:
        return SwitchState(False)
    return SwitchState(row["is_on"], row["reason_code"], row["changed_by"], parse_utc(row["changed_at"]))
