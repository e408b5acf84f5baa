"""The clients. Each knows the features that it can be asked for, and tries one of them at a place.

A module in Python tries a feature in the function of its name. A program is started once; it reads a line of
JSON for each cell and answers by one.
"""

import asyncio
import json
import os
import re
import ssl
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from inspect import isfunction, signature
from pathlib import Path
from threading import Timer
from types import ModuleType
from typing import Any, Protocol

from openai import AsyncOpenAI, DefaultAsyncHttpxClient, DefaultHttpxClient, OpenAI

from tests.conformance import langchain, openai_helpers, openai_python
from tests.conformance.stage import Place
from tests.e2e import sdk_for_node

ROOT = Path(__file__).parents[2]
NODE = sdk_for_node.HERE / "conform.mjs"
INSTRUCTOR = Path(__file__).with_name("instructor")

# For all clients: to read the certificates of the authorities takes longer than a chat.
TLS = ssl.create_default_context()
# One loop for all checks: LangChain keeps its connections in one pool for the whole process.
LOOP = asyncio.Runner()
# Seconds that a program may take for a cell.
PATIENCE = 60

Check = Callable[..., Awaitable[None]]


class Client(Protocol):
    """``missing``: why this machine cannot run it; "" if it can."""

    @property
    def title(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def missing(self) -> str: ...
    @property
    def features(self) -> set[str]: ...

    def check(self, feature: str, at: Place) -> None:
        """Raises an error if this is not what the client gets there."""


@dataclass(frozen=True)
class Library:
    """A module whose functions try features. ``around`` gives each what it needs beside the place."""

    title: str
    package: str
    module: ModuleType
    around: Callable[[Check, Place], Any]
    missing: str = ""

    @property
    def version(self) -> str:
        return f"{self.package} {version(self.package)}"

    @property
    def features(self) -> set[str]:
        return set(self._checks())

    def check(self, feature: str, at: Place) -> None:
        LOOP.run(self.around(self._checks()[feature], at))

    def _checks(self) -> Mapping[str, Check]:
        """What takes a place, or an SDK and a place."""
        found = {name: value for name, value in vars(self.module).items() if isfunction(value)}
        return {
            name: check
            for name, check in found.items()
            if list(signature(check).parameters) in (["at"], ["sdk", "at"])
        }


@dataclass(frozen=True)
class Started:
    """How a program is started once it is installed."""

    command: list[str]
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Program:
    """A client in a process of its own, which is told of a feature and a place and tells what came of it."""

    title: str
    version: str
    source: Path
    function: str  # how functions that try features begin, as an expression
    install: Callable[[Path], Started]  # below the folder given
    missing: str = ""
    process: subprocess.Popen[str] | None = None

    @property
    def features(self) -> set[str]:
        return set(re.findall(self.function, self.source.read_text(), re.MULTILINE))

    def check(self, feature: str, at: Place) -> None:
        told = self._ask({"feature": feature, "at": facts(at)}, at.home)
        assert told["error"] is None, told["error"]

    def end(self) -> None:
        process, self.process = self.process, None
        if process is None:
            return
        try:
            process.communicate(timeout=PATIENCE)  # it ends when nobody asks any more
        finally:
            process.kill()

    def _ask(self, asked: Mapping[str, Any], home: Path) -> Any:
        process = self.process = self.process or self._started(home)
        assert process.stdin
        assert process.stdout
        watchdog = Timer(PATIENCE, process.kill)
        watchdog.start()
        try:
            print(json.dumps(asked), file=process.stdin, flush=True)
            line = process.stdout.readline()
        finally:
            watchdog.cancel()
        if not line:
            self.process = None
            raise AssertionError(f"the program has ended with {process.wait()}")
        return json.loads(line)

    def _started(self, home: Path) -> "subprocess.Popen[str]":
        how = self.install(home)
        environment = {**os.environ, **how.environment}
        pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        return subprocess.Popen(how.command, cwd=how.folder, env=environment, **pipes)


def node(home: Path) -> Started:
    return Started(["node", NODE.name], sdk_for_node.installed_sdk(home))


def instructor(home: Path) -> Started:
    """Instructor and the older SDK that it wants, before what the tests have."""
    packages = home / "instructor"
    if not packages.is_dir():
        pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps"]
        subprocess.run(
            [*pip, "--require-hashes", "--target", packages, "-r", INSTRUCTOR / "requirements.txt"],
            check=True,
        )
    path = os.pathsep.join([str(packages), str(ROOT)])
    return Started([sys.executable, "conform.py"], INSTRUCTOR, {"PYTHONPATH": path})


def pinned(package: str) -> str:
    """The version of what Instructor runs with."""
    found = re.search(rf"^{package}==(\S+)", (INSTRUCTOR / "requirements.txt").read_text(), re.MULTILINE)
    assert found
    return found.group(1)


def facts(at: Place) -> dict[str, Any]:
    """A place, as programs are told of it."""
    names = ("base_url", "key", "poor_key", "hurried_key", "model", "vectors", "family")
    return {**{name: getattr(at, name) for name in names}, "twins": at.twins.url, "told": dict(at.told)}


async def by_itself(check: Check, at: Place) -> None:
    await check(at)


async def with_sync(check: Check, at: Place) -> None:
    http = DefaultHttpxClient(verify=TLS)
    with OpenAI(**_login(at), http_client=http) as sdk:
        await check(sdk, at)


async def with_async(check: Check, at: Place) -> None:
    http = DefaultAsyncHttpxClient(verify=TLS)
    async with AsyncOpenAI(**_login(at), http_client=http) as sdk:
        await check(sdk, at)


async def with_both(check: Check, at: Place) -> None:
    await with_sync(check, at)
    await with_async(check, at)


def _login(at: Place) -> dict[str, Any]:
    """Nothing is tried again unless a check wants it."""
    return {"base_url": at.base_url, "api_key": at.key, "max_retries": 0, "timeout": 30}


CLIENTS: dict[str, Client] = {
    "openai": Library("openai-python", "openai", openai_python, with_sync),
    "openai-async": Library("openai-python, asynchronous", "openai", openai_python, with_async),
    "openai-helpers": Library("openai-python, `stream()` and `parse()`", "openai", openai_helpers, with_both),
    "openai-node": Program(
        "openai-node",
        f"openai for Node {sdk_for_node.version()}",
        NODE,
        r"^  async (\w+)\(\)",
        node,
        missing="" if sdk_for_node.is_there() else "Node and npm are not installed on this machine",
    ),
    "langchain": Library("LangChain", "langchain-openai", langchain, by_itself),
    "instructor": Program(
        "Instructor",
        f"instructor {pinned('instructor')} (on openai {pinned('openai')})",
        INSTRUCTOR / "conform.py",
        r"^async def (\w+)\(\)",
        instructor,
    ),
}


def end() -> None:
    """Leave no process and no connection behind."""
    for client in CLIENTS.values():
        if isinstance(client, Program):
            client.end()
    LOOP.close()
