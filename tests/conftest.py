"""For all tests: passwords are hashed cheaply, since it is not the hashing that is tested."""

from django.conf import settings


def pytest_configure() -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
