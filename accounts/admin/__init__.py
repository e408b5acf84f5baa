"""The operators' desk for people, clients and keys."""

from accounts.admin import clients, keys, people

__all__ = ["clients", "keys", "people"]
