"""What ends an installation against its will. The text is one sentence for whoever started it.

Ended
├── CannotStart
└── BrokenDown
"""


class Ended(Exception):
    """Everything of ours was stopped, and the exit code is 1."""


class CannotStart(Ended):
    """Something has to be put right first."""


class BrokenDown(Ended):
    """It was running and cannot go on."""
