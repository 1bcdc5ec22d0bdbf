"""Addresses of services that a person names: told to be wrong before anything is done, not when they are called."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

SCHEMES: Final = ("http", "https")


def wrong_address(address: str) -> str:
    """What is wrong with an address of the web; nothing where it can be called.

    >>> wrong_address("http://gateway:9091"), wrong_address("gateway:9091")
    ('', 'it does not begin with http:// or https://')
    """
    if re.search(r"[\s\x00-\x1f]", address):
        return "there is a space in it"
    try:
        parts = urlsplit(address)
        port = parts.port  # raises for one that there is not
        (parts.hostname or "").encode("idna")
    except UnicodeError:
        return "a part of the host's name is empty or too long"
    except ValueError as error:
        return str(error)
    if parts.scheme not in SCHEMES or not address.partition(":")[2].startswith("//"):
        return "it does not begin with http:// or https://"
    if not parts.hostname:
        return "there is no host in it"
    return "there is no port 0" if port == 0 else ""


def without_user(address: str) -> str:
    """The address as it may be shown: without a user and a password.

    >>> without_user("http://me:secret@gateway:9091/x")
    'http://...@gateway:9091/x'
    """
    return re.sub(r"//[^/]*@", "//...@", address)
