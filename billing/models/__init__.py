"""What requests cost and who paid. Every amount is in micro-roubles (10⁻⁶ ₽)."""

from billing.models.book import Account, AccountKind, Transfer, TransferCode
from billing.models.history import Generation, GenerationStatus, UsageSource
from billing.models.holds import Cap, Hold, KeyDay, Reset, Shift
from billing.models.incomings import Payment, PromoBatch, PromoCode, PromoTry
from billing.models.invoices import Invoice, InvoiceState, InvoiceStep
from billing.models.notices import Channel, ChannelKind, Delivery, Event, EventKind
from billing.models.prices import Rate, Tariff
from billing.models.proposals import PERMITS, Proposal, ProposalKind, ProposalState
from billing.models.sampling import SamplingMedian
from billing.models.usage import UsageHour, UsageMark, UsageMinute, UsagePace
from billing.models.watch import Alert, AlertKind, Audit

__all__ = [
    "PERMITS",
    "Account",
    "AccountKind",
    "Alert",
    "AlertKind",
    "Audit",
    "Cap",
    "Channel",
    "ChannelKind",
    "Delivery",
    "Event",
    "EventKind",
    "Generation",
    "GenerationStatus",
    "Hold",
    "Invoice",
    "InvoiceState",
    "InvoiceStep",
    "KeyDay",
    "Payment",
    "PromoBatch",
    "PromoCode",
    "PromoTry",
    "Proposal",
    "ProposalKind",
    "ProposalState",
    "Rate",
    "Reset",
    "SamplingMedian",
    "Shift",
    "Tariff",
    "Transfer",
    "TransferCode",
    "UsageHour",
    "UsageMark",
    "UsageMinute",
    "UsagePace",
    "UsageSource",
]
