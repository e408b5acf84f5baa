"""Adds to an installation a model of each wire that has nothing but the prompt for tools and for JSON.

python -m tests.prompts.stage http://127.0.0.1:9100     (the twins' address)
"""

import os
import sys
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "xrouter.settings")
django.setup()

from tests import builders  # noqa: E402 - models need settings
from tests.e2e.stage import WIRES  # noqa: E402


def main(url: str) -> None:
    for wire, (path, auth_path, secret, upstream_name, options) in WIRES.items():
        where: Any = {"base_url": url + path, "auth_url": url + auth_path if auth_path else ""}
        provider = builders.make_provider(f"plain-{wire}", adapter=wire, options=options, **where)
        builders.make_credential(provider, secret, slots=1000)
        model = builders.make_model(f"plain/{wire}")
        facts: Any = {"upstream_name": upstream_name, "tools": "emulated", "features": ["streaming"]}
        builders.make_endpoint(model, provider, circuit="closed", **facts)


if __name__ == "__main__":
    main(sys.argv[1])
