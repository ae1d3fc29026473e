"""The door to the network, against real sockets: what left and what did not."""

import gzip
import ipaddress
import logging
import re
import socket
import ssl
import threading
import time
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
import requests
import urllib3
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gateways import http as gateway_http
from gateways.errors import ConfigError, MaybeSent, NotSent
from gateways.http import (
    HttpClient,
    HttpResponse,
    _classify,
    is_public,
    redact,
    shared_client,
)


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


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A file with the key and the certificate of 127.0.0.1, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(timezone.utc)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), 1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("certificate") / "both.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + signed.public_bytes(serialization.Encoding.PEM)
    )
    return path


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


def test_own_headers_replace_the_usual_ones():
    received = []
    with server(answer(OK, received)) as url:
        client().request("POST", url, {"USER-AGENT": "ours"}, b"x")
        client().request("POST", url)
        client().request("GET", f"{url[:-1]}?a=1#b")
    assert received[0].lower().count(b"user-agent:") == 1
    assert b"USER-AGENT: ours\r\n" in received[0]
    assert b"Content-Length: 1\r\n" in received[0]
    assert b"Content-Length: 0\r\n" in received[1]
    assert received[2].startswith(b"GET /?a=1 HTTP/1.1\r\n")
    assert b"Content-Length" not in received[2]


def test_head_and_body_come_together():
    received = []

    def talk(connection):
        received.append(connection.recv(65536))
        connection.sendall(OK)

    with server(talk) as url:
        client().request("POST", url, {}, b"body")
    assert received[0].endswith(b"\r\n\r\nbody")


def test_connection_is_used_again():
    received = []

    def talk(connection):
        while request := read_request(connection):
            received.append(request)
            connection.sendall(OK)

    with server(talk) as url:
        # the server takes one connection after the other: a second one would wait
        http = client()
        for number in range(3):
            http.request("POST", f"{url}{number}", {}, b"x")
        http.request("GET", url)
        http.close()
    assert [request.split()[1] for request in received] == [b"/0", b"/1", b"/2", b"/"]


def test_cookies_are_not_kept():
    received = []
    raw = OK.replace(b"\r\n\r\n", b"\r\nSet-Cookie: a=b\r\n\r\n")

    def talk(connection):
        while request := read_request(connection):
            received.append(request)
            connection.sendall(raw)

    with server(talk) as url:
        http = client()
        http.request("POST", url, {}, b"x")
        http.request("POST", url, {}, b"x")
        http.close()
    assert b"cookie" not in received[1].lower()


def test_proxy_of_the_environment(monkeypatch):
    received = []
    with server(answer(OK, received)) as url:
        monkeypatch.setenv("http_proxy", url)
        client().request("POST", "http://provider.invalid/send?a=1", {}, b"x")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        client().request("POST", f"{url}direct", {}, b"x")
    assert received[0].startswith(b"POST http://provider.invalid/send?a=1 HTTP/1.1\r\n")
    assert received[0].endswith(b"\r\n\r\nx")
    assert received[1].startswith(b"POST /direct HTTP/1.1\r\n")


def test_proxy_that_refuses(monkeypatch):
    received = []
    raw = b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"
    with server(answer(raw, received)) as url:
        monkeypatch.setenv("https_proxy", url)
        with pytest.raises(NotSent):
            client().request("POST", "https://provider.invalid/", {}, b"x")
    assert received[0].startswith(b"CONNECT provider.invalid:443 HTTP/1.")


@pytest.mark.parametrize("cause", [ConnectionResetError("reset"), TimeoutError("late")])
def test_connection_that_breaks_behind_a_proxy(cause):
    """Older urllib3 calls a proxy's error what happens after the request, too."""
    reason = urllib3.exceptions.ProxyError("Cannot connect to proxy.", cause)
    broken = urllib3.exceptions.MaxRetryError(None, "/", reason)
    failure = gateway_http._classify(requests.exceptions.ProxyError(broken))
    assert isinstance(failure, MaybeSent)


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


def test_certificate_of_an_unknown_authority(certificate, monkeypatch):
    received = []
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)

    def talk(connection):
        try:
            with context.wrap_socket(connection, server_side=True) as encrypted:
                answer(OK, received)(encrypted)
        except OSError:
            pass

    with server(talk) as url:
        url = url.replace("http:", "https:")
        with pytest.raises(NotSent):
            client().request("POST", url, data=b"x")
        assert received == []
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        assert client().request("POST", url, data=b"x").status == 200
    assert received[0].endswith(b"\r\n\r\nx")


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


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_nothing_is_repeated(method):
    received = []
    with server(answer(b"", received)) as url, pytest.raises(MaybeSent):
        client().request(method, url)
    assert len(received) == 1
    received = []
    raw = b"HTTP/1.1 503 Busy\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n"
    with server(answer(raw, received)) as url:
        assert client().request(method, url).status == 503
    assert len(received) == 1


def test_connecting_is_not_repeated():
    connections = []

    def talk(connection):
        connections.append(connection.recv(65536))

    with server(talk) as url, pytest.raises(MaybeSent):
        client().request("GET", url.replace("http:", "https:"))
    assert len(connections) == 1


def test_endless_answer():
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n" + b"x" * 3000
    with server(answer(raw)) as url, pytest.raises(MaybeSent):
        client(max_bytes=2000).request("GET", url)


def test_answer_that_drips():
    """Each byte comes in time, the answer as a whole does not."""

    def talk(connection):
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n")
        try:
            for _byte in range(40):
                connection.sendall(b"x")
                time.sleep(0.05)
        except OSError:
            pass

    with server(talk) as url, pytest.raises(MaybeSent):
        client().request("GET", url)


def test_answers_are_not_mixed_up():
    """What was left of an answer that is too long is not the next answer."""
    long = b"HTTP/1.1 200 OK\r\nContent-Length: 90000\r\n\r\n" + b"x" * 90000

    def talk(connection):
        request = read_request(connection)
        connection.sendall(long if b" /long " in request else OK)

    with server(talk) as url:
        http = client(max_bytes=2000)
        with pytest.raises(MaybeSent):
            http.request("GET", f"{url}long")
        assert http.request("GET", url).body == b""


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
    for absurd in ("9" * 30, "9" * 5000, "Wed, 21 Oct 2999 07:28:00 GMT"):
        assert seconds(absurd) == 24 * 3600
    for nonsense in ("²", "-1", "1.5", ""):
        assert seconds(nonsense) is None
    assert HttpResponse(429).retry_after() is None


def test_connections_are_shared():
    assert shared_client() is shared_client()


# Hostile servers and addresses -------------------------------------------------------


def test_head_that_drips():
    """Neither a status line nor headers that never end hold a sender."""
    for start in (b"HTTP/1.1 200 O", b"HTTP/1.1 200 OK\r\nX-Long: "):
        sent = []

        def talk(connection, start=start, sent=sent):
            read_request(connection)
            connection.sendall(start)
            try:
                for byte in range(100):
                    connection.sendall(b"x")
                    sent.append(byte)
                    time.sleep(0.05)
            except OSError:
                pass

        with server(talk) as url:
            with pytest.raises(MaybeSent):
                client().request("GET", url)
            assert len(sent) < 100, "given up before the server was"


def test_endless_headers():
    raw = b"HTTP/1.1 200 OK\r\n" + b"X-Long: y\r\n" * 10_000
    with server(answer(raw)) as url, pytest.raises(MaybeSent):
        client().request("GET", url)


def test_packed_answer_that_is_endless():
    packed = gzip.compress(b"x" * 3_000_000)
    assert len(packed) < 10_000
    raw = (
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b"
        % (len(packed), packed)
    )
    with server(answer(raw)) as url, pytest.raises(MaybeSent):
        client(max_bytes=2_000_000).request("GET", url)


def test_late_answer_leaves_the_connection_usable():
    """A timeout that was cut for the end of one answer is not that of the next."""

    def talk(connection):
        while read_request(connection):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
            for _byte in range(9):
                connection.sendall(b"x")
                time.sleep(0.05)

    with server(talk) as url:
        http = client()
        for _time in range(3):
            assert http.request("GET", url).body == b"x" * 9
        http.close()


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1%eth0",
        "fc00::1",
        "fec0::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "2002:7f00:1::",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
    ],
)
def test_addresses_that_are_not_public(address):
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_public_addresses(address):
    assert is_public(address)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]"]
)
def test_ways_to_write_this_computer(host):
    received = []
    with server(answer(OK, received)) as url:
        with pytest.raises((ConfigError, NotSent)):
            url = url.replace("127.0.0.1", host)
            client(is_public_only=True).request("POST", url, {}, b"x")
    assert received == []


def test_refusal_names_the_address(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", resolve("127.0.0.1"))
    with pytest.raises(ConfigError, match=r"sms\.example is 127\.0\.0\.1, .*private"):
        client(is_public_only=True).request("POST", "http://sms.example/", {}, b"x")


def resolve(*answers):
    """A name server that gives its answers one after the other, then the last."""
    rest = list(answers)

    def getaddrinfo(host, port, family=0, type=0, proto=0, flags=0):
        address = rest.pop(0) if len(rest) > 1 else rest[0]
        if address is None:
            raise socket.gaierror("no such name")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    return getaddrinfo


def test_name_that_changes_its_address(monkeypatch):
    """The address that was judged is the one that is connected to."""
    received, connected = [], []

    def connect(address, *args, **kwargs):
        connected.append(address[0])
        raise OSError("no way there")

    with server(answer(OK, received)) as url:
        port = url.rpartition(":")[2].strip("/")
        monkeypatch.setattr(socket, "getaddrinfo", resolve("8.8.8.8", "127.0.0.1"))
        monkeypatch.setattr("urllib3.util.connection.create_connection", connect)
        with pytest.raises(NotSent):
            client(is_public_only=True).request(
                "POST", f"http://rebind.example:{port}/", {}, b"x"
            )
    assert received == [] and connected == ["8.8.8.8"]


def test_unknown_name_of_a_public_server(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", resolve(None))
    with pytest.raises(NotSent):
        client(is_public_only=True).request("POST", "http://sms.example/", {}, b"x")


def test_certificate_is_for_the_name(monkeypatch):
    """Connecting to the address that was judged, TLS still asks for the name."""
    hellos = []

    def talk(connection):
        hellos.append(connection.recv(65536))

    with server(talk) as url:
        port = url.rpartition(":")[2].strip("/")
        monkeypatch.setattr(socket, "getaddrinfo", resolve("127.0.0.1"))
        monkeypatch.setattr("gateways.http.is_public", lambda address: True)
        with pytest.raises(MaybeSent):
            client(is_public_only=True).request("GET", f"https://sms.example:{port}/")
    assert b"sms.example" in hellos[0]


def test_proxies_do_not_lead_around_the_check(monkeypatch):
    received = []
    with server(answer(OK, received)) as url:
        monkeypatch.setenv("http_proxy", url)
        with pytest.raises(ConfigError):
            client(is_public_only=True).request("GET", "http://127.0.0.1:9/")
    assert received == []


def test_clients_are_shared_by_kind():
    assert shared_client(True) is shared_client(True) is not shared_client()
    assert shared_client(True).is_public_only
