"""Carry what adapters build: ``aio`` for the data plane, ``sync`` for Celery. Nobody else connects."""
