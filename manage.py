#!/usr/bin/env python3
"""Django's command line. Started with a Python that lacks Django, it moves into ``.venv``."""

import os
import sys
from importlib import import_module
from pathlib import Path

VENV_PYTHON = Path(__file__).resolve().parent / ".venv" / "bin" / "python"


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "xrouter.settings")
    try:
        from django.core.exceptions import ImproperlyConfigured
        from django.core.management import execute_from_command_line
    except ImportError:
        if not VENV_PYTHON.exists() or Path(sys.prefix) == VENV_PYTHON.parent.parent:
            sys.exit("Django is not installed: run `make run` first.")
        os.execv(VENV_PYTHON, [str(VENV_PYTHON), *sys.argv])
    try:
        import_module(os.environ["DJANGO_SETTINGS_MODULE"])
    except ImproperlyConfigured as exc:
        sys.exit(f"XRouter is not set up here: run `make run` first ({exc}).")
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
