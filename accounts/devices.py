"""What a browser calls itself, in words that its owner knows. Pure."""

# The first that is found is right: each of these also claims to be those below it.
BROWSERS = {
    "YaBrowser": "Яндекс Браузер",
    "Edg/": "Edge",
    "OPR/": "Opera",
    "Firefox": "Firefox",
    "Chrome": "Chrome",
    "Safari": "Safari",
}
SYSTEMS = {
    "Android": "Android",
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Windows": "Windows",
    "Mac OS": "macOS",
    "Linux": "Linux",
}
LONGEST = 60


def device_of(user_agent: str) -> str:
    """«Firefox, Windows»; of an unknown one what it says itself."""
    known = (_first(user_agent, BROWSERS), _first(user_agent, SYSTEMS))
    return ", ".join(filter(None, known)) or user_agent[:LONGEST] or "—"


def _first(user_agent: str, names: dict[str, str]) -> str:
    return next((name for mark, name in names.items() if mark in user_agent), "")
