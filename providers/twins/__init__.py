"""Twins: local servers that speak the vendors' own wire. `python -m providers.twins --port 9100`."""
