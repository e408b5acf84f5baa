"""What keys are called: by whoever made them, and the playground's by us, in each reader's language."""

from django.utils.translation import gettext_lazy as _

# Stored as it is here, whatever the language of who came to the playground first.
PLAYGROUND = "Песочница"
SHOWN = _("Песочница")
BETWEEN = " · "


def of_playground(person: str) -> str:
    """The label of the key by which ``person`` asks there."""
    return f"{PLAYGROUND}{BETWEEN}{person}"


def shown(label: str) -> str:
    """``label`` of the playground's key, unless somebody has given it another one."""
    ours, between, person = label.partition(BETWEEN)
    return f"{SHOWN}{between}{person}" if ours == PLAYGROUND and between else label
