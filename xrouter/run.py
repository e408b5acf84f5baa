"""The command behind ``make run``: everything from an empty directory to an answered request, and its end."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from xrouter import services
from xrouter.errors import BrokenDown, CannotStart
from xrouter.home import Home, is_free, keep_secrets, locked, open_home, read_pairs, write_pairs
from xrouter.supervision import Program, Supervisor, end_leftovers, end_with_parent, last_line

BASE_DIR = Path(__file__).resolve().parent.parent
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# A little more than the web process gives its open answers.
WEB_STOP_SECONDS = 65
WEB_START_SECONDS = 60
TWINS_START_SECONDS = 30
# Seconds that what a killed start left behind may take to end in order.
LEFTOVER_SECONDS = WEB_STOP_SECONDS + 30

SCREEN = """
XRouter is ready.

  API          {url}/v1
  API key      {api_key}
  Dashboard    {url}/dashboard/   {customer}   {customer_password}
  Sign-up      {url}/signup/
  Admin        {url}/admin/       {admin}   {admin_password}

  Try it:

  curl {url}/v1/chat/completions -H 'Authorization: Bearer {api_key}' \\
    -H 'Content-Type: application/json' \\
    -d '{{"model": "gigachat/pro", "messages": [{{"role": "user", "content": "Привет! Кто ты?"}}]}}'

  Providers    {providers}
  Letters      {letters}
  Logs         {logs}
  State        {home}

Ctrl-C stops everything.
"""

# How the screen names the providers that answer themselves, by a twin, and not at all.
VOICES = {
    "real": "themselves",
    "simulated": "simulated on this machine, for want of credentials",
    "silent": "silent, for want of credentials",
}


class Stopped(BaseException):
    """Ctrl-C, SIGTERM, or a terminal that was closed."""


@dataclass(frozen=True)
class Options:
    """What the environment says about this installation."""

    host: str
    port: int
    workers: int
    home: Path
    twins: str  # "auto" or "off"
    twin_url: str  # where twins are already, or empty

    @property
    def starts_twins(self) -> bool:
        return self.twins == "auto" and not self.twin_url

    @property
    def address(self) -> str:
        """Where this machine finds it."""
        return "127.0.0.1" if self.host == "0.0.0.0" else self.host  # noqa: S104

    @property
    def url(self) -> str:
        return f"http://{self.address}:{self.port}"


def main() -> int:
    """Run until told to stop. Returns the exit code: 0, or 1 with a sentence when it cannot start."""
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    os.umask(0o077)
    hear(interrupt)
    if sys.argv[1:] == ["--leashed"]:
        end_with_parent()
    try:
        serve(read_options(os.environ))
    except Stopped:
        say("XRouter has stopped.")
        return 0
    except CannotStart as exc:
        return fail(f"XRouter cannot start: {exc}")
    except BrokenDown as exc:
        return fail(f"XRouter has ended: {exc}")
    except OSError as exc:
        return fail(f"XRouter cannot go on: {exc.filename or home_of(os.environ)}: {exc.strerror or exc}.")
    return 0


def serve(options: Options) -> None:
    """The story of an installation: prepare, start in order, show, watch. Ends by Stopped or CannotStart."""
    home = open_home(options.home)
    with locked(home):
        if end_leftovers(home.path, LEFTOVER_SECONDS):
            say("Ended what the last start had left running.")
        check_address(options)
        secrets = keep_secrets(home, os.environ)
        servers = services.embedded(home, secrets, os.environ)
        os.environ.update(settle_environment(home, options, secrets, servers))
        for server in servers:
            say(f"Preparing {server.name} …")
            for note in server.prepare():
                say(f"  {note}.")
        programs = [server.program() for server in servers] + our_programs(home, options, secrets)
        with Supervisor(home.path, programs) as supervisor:
            run(supervisor, home, options, servers, secrets)


def run(
    supervisor: Supervisor,
    home: Home,
    options: Options,
    servers: list[services.Server],
    secrets: Mapping[str, str],
) -> None:
    try:
        for server in servers:
            say(f"Starting {server.name} …")
            services.bring_up(supervisor, server)
        prepare(home)
        if options.starts_twins:
            say("Starting the twins of the providers …")
            supervisor.start("twins")
            port = int(secrets["XROUTER_TWIN_PORT"])
            supervisor.wait_for("twins", lambda: is_open(port), TWINS_START_SECONDS)
        say(f"Starting web ({options.workers}), worker and beat …")
        for name in ("web", "worker", "beat"):
            supervisor.start(name)
        supervisor.wait_for("web", lambda: is_healthy(options), WEB_START_SECONDS)
        show(home, options)
        while True:
            time.sleep(1)
            for sentence in supervisor.watch():
                print(sentence, file=sys.stderr)  # noqa: T201
    except Stopped as exc:
        hear(lambda *_: supervisor.hasten())
        say(f"\n{exc}: stopping. Answers under way may take a minute; Ctrl-C again cuts them short …")
        raise


def read_options(environment: Mapping[str, str]) -> Options:
    """Raises CannotStart, naming the variable that is wrong."""
    twins = environment.get("XROUTER_TWINS") or "auto"
    if twins not in {"auto", "off"}:
        raise CannotStart(f"XROUTER_TWINS is «{twins}»; it may be «auto» or «off».")
    _check_url(environment, "DATABASE_URL", "postgres", "postgresql")
    _check_url(environment, "REDIS_URL", "redis", "rediss", "unix")
    return Options(
        host=environment.get("XROUTER_HOST") or "127.0.0.1",
        port=_number(environment, "XROUTER_PORT", 8000, 65535),
        workers=_number(environment, "XROUTER_WORKERS", os.cpu_count() or 1, 512),
        home=home_of(environment),
        twins=twins,
        twin_url=environment.get("XROUTER_TWIN_URL", "") if twins == "auto" else "",
    )


def _check_url(environment: Mapping[str, str], name: str, *schemes: str) -> None:
    url = environment.get(name)
    if url and url.partition("://")[0] not in schemes:
        raise CannotStart(f"{name} has to begin with {' or '.join(f'{scheme}://' for scheme in schemes)}.")


def home_of(environment: Mapping[str, str]) -> Path:
    return Path(environment.get("XROUTER_HOME") or BASE_DIR / ".xrouter").expanduser().absolute()


def _number(environment: Mapping[str, str], name: str, default: int, most: int) -> int:
    text = environment.get(name) or str(default)
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= most):
        raise CannotStart(f"{name} is «{text}»; it has to be a whole number from 1 to {most}.")
    return int(text)


def check_address(options: Options) -> None:
    """May we listen where we are asked to? Raises CannotStart."""
    place = f"port {options.port} of {options.host}"
    try:
        free = is_free(options.host, options.port)
    except socket.gaierror as exc:
        raise CannotStart(
            f"XROUTER_HOST is «{options.host}», which is no IPv4 address or name of this machine."
        ) from exc
    except OSError as exc:
        raise CannotStart(f"We may not listen on {place}: {exc.strerror}.") from exc
    if not free:
        raise CannotStart(
            f"{place.capitalize()} is in use; choose another, for example XROUTER_PORT={options.port + 1}."
        )


def settle_environment(
    home: Home, options: Options, secrets: Mapping[str, str], servers: list[services.Server]
) -> dict[str, str]:
    """What all processes are told, and ``manage.py`` in another shell by the file it is kept in."""
    told = dict(secrets)
    for variable in ("DATABASE_URL", "REDIS_URL"):
        told[variable] = os.environ.get(variable, "")
    for server in servers:
        told[server.variable] = server.url
    told["XROUTER_TWINS"] = options.twins
    told["XROUTER_TWIN_URL"] = options.twin_url
    if options.starts_twins:
        told["XROUTER_TWIN_URL"] = f"http://127.0.0.1:{secrets['XROUTER_TWIN_PORT']}"
    write_pairs(home.environment, "What this installation runs with. Keep it secret, and keep it.", told)
    return told | {
        "XROUTER_HOME": str(home.path),
        "XROUTER_WORKERS": str(options.workers),
        "XROUTER_METRICS_DIR": os.environ.get("XROUTER_METRICS_DIR") or str(home.path / "metrics"),
        "PYTHONUNBUFFERED": "1",
    }


def our_programs(home: Home, options: Options, secrets: Mapping[str, str]) -> list[Program]:
    """Twins, web, worker and beat, in the order they start."""
    python = sys.executable
    celery = [python, "-m", "celery", "-A", "xrouter"]
    # Slow enough that a stream looks like one.
    twins = [python, "-m", "providers.twins", "--port", secrets["XROUTER_TWIN_PORT"], "--delay-ms", "15"]
    programs = [Program("twins", twins, BASE_DIR)] if options.starts_twins else []
    return [
        *programs,
        Program(
            "web",
            [python, "-m", "xrouter.web"],
            BASE_DIR,
            stop_seconds=WEB_STOP_SECONDS,
            processes=options.workers,
            listen=(options.host, options.port),
        ),
        Program(
            "worker",
            [*celery, "worker", "--loglevel", "INFO", "--concurrency", "2", "--without-gossip"],
            BASE_DIR,
            stop_seconds=30,
        ),
        Program(
            "beat",
            [*celery, "beat", "--loglevel", "INFO", "--pidfile=", "-s", str(home.path / "beat-schedule")],
            BASE_DIR,
        ),
    ]


def prepare(home: Home) -> None:
    """Migrations, static files, catalogue, logins: in a process of its own. Raises CannotStart."""
    say("Preparing the database and the catalogue …")
    log = home.logs / "prepare.log"
    with log.open("wb") as complaints:
        done = subprocess.run(
            [sys.executable, "-m", "xrouter.prepare"], cwd=BASE_DIR, stderr=complaints, check=False
        )
    if done.returncode:
        raise CannotStart(f"{last_line(log)} (more in {log}).")


def is_open(port: int) -> bool:
    """Does somebody on this machine listen there?"""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def is_healthy(options: Options) -> bool:
    """Does ``/healthz`` answer 200? Asked without the proxies that the environment may name."""
    connection = http.client.HTTPConnection(options.address, options.port, timeout=5)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def show(home: Home, options: Options) -> None:
    """The screen that tells how to use it."""
    facts = read_pairs(home.logins)
    providers = "; ".join(f"{words}: {facts[voice]}" for voice, words in VOICES.items() if facts[voice])
    printed = f"to web-*.log and worker.log of {home.logs}, for want of EMAIL_URL"
    letters = "by EMAIL_URL" if os.environ.get("EMAIL_URL") else printed
    say(
        SCREEN.format(
            url=options.url, letters=letters, logs=home.logs, home=home.path, providers=providers, **facts
        )
    )


def hear(answer: Callable[[int, FrameType | None], None]) -> None:
    """Let ``answer`` take the signals that end us; a SIGHUP that nohup has silenced stays silent."""
    for number in SIGNALS:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, answer)


def interrupt(number: int, _frame: FrameType | None) -> None:
    hear(lambda *_: None)  # a second one must not interrupt the clean-up of the first
    raise Stopped(signal.Signals(number).name)


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201


def fail(sentence: str) -> int:
    print(sentence, file=sys.stderr)  # noqa: T201
    return 1


if __name__ == "__main__":
    sys.exit(main())
