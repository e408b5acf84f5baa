"""The official SDK for Node, of the lock file's version, for the programs beside that file."""

import json
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).with_name("node")
LOCK = HERE / "package-lock.json"


def is_there() -> bool:
    """Whether this machine can run it."""
    return bool(shutil.which("node") and shutil.which("npm"))


def installed_sdk(home: Path) -> Path:
    """A copy of the programs with the SDK, away from the checkout; made once for each ``home``."""
    if (home / "node" / "node_modules" / "openai").is_dir():
        return home / "node"
    copy = shutil.copytree(HERE, home / "node", ignore=lambda *_: {"node_modules"}, dirs_exist_ok=True)
    subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--prefer-offline"], cwd=copy, check=True)
    return Path(copy)


def version() -> str:
    return str(json.loads(LOCK.read_text())["packages"]["node_modules/openai"]["version"])
