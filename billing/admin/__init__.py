"""The operators' desk for money: prices are edited, history is read, and money moves by the ledger only."""

from billing.admin import accounts, caps, prices, records

__all__ = ["accounts", "caps", "prices", "records"]
