"""Where no server spoke, nothing is quoted: no error number, and no words of a library."""

import asyncio
import errno
from functools import cache
import os
import socket
import ssl
from typing import Final

import aiohttp
from aiohttp.client_reqrep import ConnectionKey
import pytest

from custom_components.outlook_smtp.auth.auth_error import AuthError, read_auth_error
from custom_components.outlook_smtp.auth.endpoint import _describe
from custom_components.outlook_smtp.delivery.faults import Fault, Problem, Stage
from custom_components.outlook_smtp.errors import fault_placeholders, text_key
from custom_components.outlook_smtp.graph.errors import read_error as read_graph_error
from custom_components.outlook_smtp.smtp.fault_mapping import read_error

from .test_translations import LANGUAGES, texts

LOOPBACK: Final = "Connect call failed ('127.0.0.1', 25)"
SEVERAL: Final = f"Multiple exceptions: [Errno 111] {LOOPBACK}, [Errno 101] {LOOPBACK}"
ERRORS: Final = (
    *(OSError(number, os.strerror(number), "/config") for number in sorted(errno.errorcode)),
    ConnectionRefusedError(errno.ECONNREFUSED, LOOPBACK),
    OSError(SEVERAL),
    socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
    socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"),
    TimeoutError(),
    asyncio.IncompleteReadError(b"", 1),
    ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number"),
    ssl.SSLEOFError(8, "EOF occurred in violation of protocol"),
)
KEY: Final = ConnectionKey("graph.example.com", 443, True, True, None, None, None)


@cache
def silent_faults() -> list[Fault]:
    """Return the faults of all errors, at every stage and on every route."""
    faults = []
    for error in ERRORS:
        faults += [read_error(stage, error) for stage in Stage]
        faults.append(read_graph_error(error))
        if isinstance(error, OSError):
            over_http = aiohttp.ClientConnectorError(KEY, error)
            faults.append(read_graph_error(over_http))
            description = _describe(over_http)
            unreachable = Problem.IDENTITY_UNREACHABLE
            refused = AuthError(unreachable, description=description, is_silent=True)
            faults.append(read_auth_error(refused))
    return faults


@cache
def silent_texts() -> set[tuple[Problem, frozenset[tuple[str, str]]]]:
    """Return the different problems of all faults, with what fills the placeholders."""
    return {
        (
            fault.problem,
            frozenset(fault_placeholders(fault, "me@outlook.com", "smtp.example.com", 587).items()),
        )
        for fault in silent_faults()
    }


def test_no_reply_and_no_number() -> None:
    """The server's reply is empty, and the log names the error without its number."""
    faults = silent_faults()
    assert len(faults) > 1000
    assert {fault.reply for fault in faults} == {""}
    for fault in faults:
        assert "[Errno" not in fault.detail, fault


@pytest.mark.parametrize("language", [*LANGUAGES, "en"])
@pytest.mark.parametrize("route", ["smtp", "graph"])
def test_texts_quote_nobody(language: str, route: str) -> None:
    """Whatever fails, no text has a number, a library's words, or a server that said nothing."""
    told = texts(language)
    for problem, places in silent_texts():
        key = text_key(problem, route)
        for text in (told[f"exceptions.{key}.message"], told[f"config.error.{key}"]):
            assert "{reply}" not in text, key
            assert "[Errno" not in text.format(**dict(places), limit="25"), key
