"""Invented clients with an invented past, so that pages can be looked at and timed."""
