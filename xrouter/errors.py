"""What can keep an installation from starting.

CannotStart
"""


class CannotStart(Exception):
    """Start-up ends here. The text is one sentence for whoever typed the command."""
