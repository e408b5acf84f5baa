"""`manage.py` before the first `make run` says what to do."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def manage(directory: Path, *python: str, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *python, directory / "manage.py", "create_key", "--client", "a"],
        env={"PATH": os.environ["PATH"], "XROUTER_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_django_it_names_the_command_that_installs_it(tmp_path: Path) -> None:
    shutil.copy(ROOT / "manage.py", tmp_path)

    done = manage(tmp_path, "-S", home=tmp_path)

    assert done.returncode == 1
    assert done.stderr == "Django is not installed: run `make run` first.\n"


def test_without_settings_it_names_the_command_that_makes_them(tmp_path: Path) -> None:
    done = manage(ROOT, home=tmp_path)

    assert done.returncode == 1
    assert done.stderr.startswith("XRouter is not set up here: run `make run` first (Set the XROUTER_")
    assert done.stderr.count("\n") == 1
