"""One client's money, as the database has it."""

from typing import Any
from uuid import UUID, uuid4

from psycopg.types.json import Jsonb

from tests.e2e.installation import Installation

# By deleting, not by the time in the row: nobody counts as dead where the database itself has just started.
END_SHIFTS = """
DELETE FROM billing_shift WHERE id IN (
    SELECT h.shift_id FROM billing_hold h JOIN billing_account a ON a.id = h.account_id WHERE a.client_id = %s
)
"""


class Wallet:
    """Of a new client who is limited by money alone, with a key."""

    def __init__(self, installation: Installation, client: str, balance: str = "1000") -> None:
        """``balance`` in roubles."""
        self.client = client
        self._installation = installation
        what = ["--client", client, "--label", "e2e", "--plan", "paid", "--balance", balance]
        installation.manage("create_key", *what)
        self.key = installation.issue_key(client)
        [row] = installation.query(
            "UPDATE accounts_client SET requests_per_second = 1000, concurrent_requests = 1000 "
            "WHERE name = %s RETURNING id",
            client,
        )
        self.client_id = row["id"]

    @property
    def balance(self) -> int:
        return int(self._account()["balance"])

    @property
    def held(self) -> int:
        return int(self._account()["held"])

    def holds(self) -> list[dict[str, Any]]:
        """What is on hold."""
        return self._query(
            "SELECT h.* FROM billing_hold h JOIN billing_account a ON a.id = h.account_id "
            "WHERE a.client_id = %s"
        )

    def records(self) -> list[dict[str, Any]]:
        """The generations, the oldest first."""
        return self._query("SELECT * FROM billing_generation WHERE client_id = %s ORDER BY settled_at")

    def charges(self) -> list[int]:
        """What each charge has taken, the oldest first."""
        rows = self._query(
            "SELECT t.amount FROM billing_transfer t JOIN billing_account a ON a.id = t.debit_id "
            "WHERE t.code = 'charge' AND a.client_id = %s ORDER BY t.id"
        )
        return [row["amount"] for row in rows]

    def set_aside(self, amount: int) -> UUID:
        """Put ``amount`` on hold for a request of somebody else."""
        ask = {"id": str(uuid4()), "client_id": self.client_id, "amount": amount, "minimum": amount}
        ask |= {"seconds": 60, "request_id": "", "model_requested": "", "streamed": False, "is_test": False}
        [answer] = self._installation.query("SELECT * FROM billing_place_holds(%s)", Jsonb([ask]))
        assert answer["granted"] == amount
        return UUID(ask["id"])

    def release(self, generation_id: UUID) -> None:
        self._installation.query("SELECT billing_release(%s)", [generation_id])

    def silence(self) -> None:
        """From now on it is as if the tellers of what is on hold had been silent for long."""
        self._query(END_SHIFTS)

    def reap(self) -> None:
        """Free what is on hold, as the reaper does once its tellers have been silent for long."""
        self.silence()
        self._installation.query("SELECT billing_reap()")

    def _account(self) -> dict[str, Any]:
        return self._query("SELECT * FROM billing_account WHERE client_id = %s")[0]

    def _query(self, text: str) -> list[dict[str, Any]]:
        return self._installation.query(text, self.client_id)
