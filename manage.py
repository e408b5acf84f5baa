#!/usr/bin/env python3
"""Django's command line. Started with a Python that lacks Django, it moves into ``.venv``."""

import os
import sys
from pathlib import Path

VENV_PYTHON = Path(__file__).resolve().parent / ".venv" / "bin" / "python"


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "xrouter.settings")
    try:
        from django.core.management import execute_from_command_line
    except ImportError:
        if not VENV_PYTHON.exists() or Path(sys.prefix) == VENV_PYTHON.parent.parent:
            raise
        os.execv(VENV_PYTHON, [str(VENV_PYTHON), *sys.argv])
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
