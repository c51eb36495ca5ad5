"""Whether a Prefect server is there."""

import socket
import threading

import pytest

from pipelines.flows.server import answers


@pytest.mark.parametrize(
    ("said", "there"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ntrue", True),
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", False),
        (b"SSH-2.0-another\r\n", False),
        (b"", False),
    ],
)
def test_only_a_prefect_api_answers(said, there):
    with socket.create_server(("127.0.0.1", 0)) as door:

        def say():
            client, _ = door.accept()
            with client:
                client.recv(4096)
                client.sendall(said)

        threading.Thread(target=say, daemon=True).start()
        assert answers(f"http://127.0.0.1:{door.getsockname()[1]}/api") is there


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/api", "nowhere", "http://[", "ftp://host/api"])
def test_no_server_is_no_error(url):
    assert answers(url) is False
