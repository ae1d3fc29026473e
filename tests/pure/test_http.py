"""The door to the network, against real sockets: what left and what did not."""

import logging
import re
import socket
import ssl
import threading
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
import requests

from gateways.errors import ConfigError, MaybeSent, NotSent
from gateways.http import HttpClient, HttpResponse, _classify, redact, shared_client


@contextmanager
def server(talk):
    """Serve connections one by one with ``talk(connection)``; yield the URL."""
    listener = socket.create_server(("127.0.0.1", 0))

    def run():
        while True:
            try:
                connection, _address = listener.accept()
            except OSError:
                return
            with connection:
                talk(connection)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    finally:
        # Closing alone does not wake a thread that waits in accept().
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def read_request(connection):
    """Read headers and body, which may come in several pieces."""
    request = b""
    while piece := connection.recv(65536):
        request += piece
        head, end, body = request.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
        if end and len(body) >= int(length[1] if length else 0):
            break
    return request


def answer(raw, received=None):
    def talk(connection):
        request = read_request(connection)
        if received is not None:
            received.append(request)
        connection.sendall(raw)

    return talk


def client(**values):
    return HttpClient(timeout=(0.5, 0.2), **values)


def test_request_is_sent_as_it_is():
    received = []
    raw = b"HTTP/1.1 503 Busy\r\nX-Thing: 1\r\nContent-Length: 2\r\n\r\nok"
    with server(answer(raw, received)) as url:
        headers = {"host": "example.com", "Authorization": "A"}
        response = client().request("POST", f"{url}?b=%2A~&a=%E4", headers, b"x=%2A")
    assert (response.status, response.body) == (503, b"ok")
    assert response.headers["x-thing"] == "1"
    assert received[0].startswith(b"POST /?b=%2A~&a=%E4 HTTP/1.1\r\n")
    assert b"host: example.com\r\n" in received[0]
    assert b"Authorization: A\r\n" in received[0]
    assert received[0].endswith(b"\r\n\r\nx=%2A")


def test_redirects_are_not_followed():
    received = []
    raw = b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"
    with server(answer(raw, received)) as url:
        assert client().request("POST", url, data=b"x").status == 302
    assert len(received) == 1


def test_netrc_does_not_replace_our_authorization(tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    received = []
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    with server(answer(raw, received)) as url:
        client().request("GET", url, {"Authorization": "ours"})
    assert b"Authorization: ours" in received[0] and b"Basic" not in received[0]


def test_nobody_listens():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(NotSent):
        client().request("POST", f"http://127.0.0.1:{port}/", data=b"x")


def test_unknown_host():
    with pytest.raises(NotSent):
        client().request("POST", "http://does-not-exist.invalid/", data=b"x")


def test_plain_server_behind_https():
    """A handshake that fails is not told from a lost answer: the careful side."""
    with server(answer(b"HTTP/1.1 400 Bad\r\n\r\n")) as url:
        with pytest.raises(MaybeSent):
            client().request("POST", url.replace("http:", "https:"), data=b"x")


def test_wrong_certificate():
    error = requests.exceptions.SSLError(ssl.SSLCertVerificationError("expired"))
    assert isinstance(_classify(error), NotSent)


def test_connect_timeout():
    assert isinstance(_classify(requests.exceptions.ConnectTimeout()), NotSent)


def test_no_answer_in_time():
    done = threading.Event()
    with server(lambda connection: done.wait(5)) as url:
        with pytest.raises(MaybeSent):
            client().request("POST", url, data=b"x")
        done.set()


@pytest.mark.parametrize(
    "raw", [b"", b"garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab"]
)
def test_connection_closed_after_the_request(raw):
    with server(answer(raw)) as url, pytest.raises(MaybeSent):
        client().request("POST", url, data=b"x")


def test_nothing_is_repeated():
    received = []
    with server(answer(b"", received)) as url, pytest.raises(MaybeSent):
        client().request("POST", url, data=b"x")
    assert len(received) == 1


def test_endless_answer():
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n" + b"x" * 3000
    with server(answer(raw)) as url, pytest.raises(MaybeSent):
        client(max_bytes=2000).request("GET", url)


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        ("ftp://127.0.0.1/", {}),
        ("127.0.0.1", {}),
        ("http://", {}),
        ("http://127.0.0.1:1/", {"Authorization": "a\nb"}),
        ("http://127.0.0.1:1/", {"Authorization": "密钥"}),
    ],
)
def test_impossible_requests(url, headers):
    # The last one fails while the connection is opened, if nobody listens there.
    with pytest.raises((ConfigError, NotSent)):
        client().request("POST", url, headers, b"x")


def test_header_that_cannot_be_written():
    received = []
    with server(answer(b"", received)) as url, pytest.raises(ConfigError):
        client().request("POST", url, {"Authorization": "密钥"}, b"x")
    assert received in ([], [b""])


def test_log_keeps_secrets(caplog):
    caplog.set_level(logging.DEBUG)
    headers = {"Authorization": "SECRET1", "x-acs-action": "SendSms"}
    with server(answer(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")) as url:
        client().request(
            "POST",
            f"{url}?PhoneNumbers=13800138000&access_token=SECRET2&OutId=7",
            headers,
            b"SECRET3",
        )
    logged = "\n".join(r.getMessage() for r in caplog.records if "gateways" in r.name)
    assert "SendSms" in logged and "'OutId': '7'" in logged and "200" in logged
    assert "SECRET" not in logged and "13800138000" not in logged


def test_redact():
    values = {"X-Acs-Security-Token": "s", "api_key": "s", "Accept": "a"}
    assert redact(values) == {
        "X-Acs-Security-Token": "***",
        "api_key": "***",
        "Accept": "a",
    }


def test_retry_after():
    def seconds(value):
        return HttpResponse(429, {"retry-after": value}).retry_after()

    soon = datetime.now(timezone.utc) + timedelta(seconds=100)
    assert seconds("7") == 7
    assert 90 <= seconds(format_datetime(soon, usegmt=True)) <= 100
    assert seconds("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert seconds("soon") is None
    assert HttpResponse(429).retry_after() is None


def test_connections_are_shared():
    assert shared_client() is shared_client()
