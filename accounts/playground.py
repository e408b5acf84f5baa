"""The keys by which the dashboard's playground asks: one of each member, which nobody holds.

Such a key is a row like any other, so that caps, limits, usage and the journal know it; but there is no text
that has its hash, and ``/v1`` does not look for it.
"""

import secrets

from accounts import keys
from accounts.models import PLAYGROUND, ApiKey, Client, User


def key_of(client: Client, person: User) -> ApiKey | None:
    """The person's key, if the playground has been used."""
    return ApiKey.objects.filter(client=client, created_by=person, for_playground=True).first()


def key_for(client: Client, person: User) -> ApiKey:
    """The person's key, made the first time."""
    name = f"{PLAYGROUND} · {person.get_full_name()}"[:100]
    made = {
        "label": name,
        # Of a key that is thrown away at once; the hash is nobody's.
        "prefix": keys.new_key(keys.Kind.LIVE).prefix,
        "digest": secrets.token_bytes(32),
    }
    theirs = ApiKey.objects.select_related("client")
    found, _made = theirs.get_or_create(made, client=client, created_by=person, for_playground=True)
    return found
