"""The operators' desk for money: prices are edited, history is read, and money moves by the ledger only."""

from billing.admin import (
    accounts,
    caps,
    invoices,
    notices,
    payments,
    prices,
    promo,
    promo_batches,
    proposals,
    records,
    transfers,
    watch,
)

__all__ = [
    "accounts",
    "caps",
    "invoices",
    "notices",
    "payments",
    "prices",
    "promo",
    "promo_batches",
    "proposals",
    "records",
    "transfers",
    "watch",
]
