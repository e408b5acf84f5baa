"""The operators' desk for people, clients, keys, and what all of them are told."""

from accounts.admin import clients, joining, journal, keys, notices, people, staff

__all__ = ["clients", "joining", "journal", "keys", "notices", "people", "staff"]
