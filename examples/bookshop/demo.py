"""Start the API on a free port, ask it once over HTTP, show what was said, and stop it: the end of ``make demo``."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import sys

PATH = "/books/9780141439587"
SECONDS = 30


def ask(host: str, port: int) -> None:
    """Print the request as curl makes it, and the answer."""
    print(f"$ curl http://{host}:{port}{PATH}", flush=True)
    connection = http.client.HTTPConnection(host, port, timeout=SECONDS)
    connection.request("GET", PATH)
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    print(answer.status, answer.reason)
    if answer.status != http.HTTPStatus.OK:
        sys.exit(body)
    print(json.dumps(json.loads(body), indent=2, ensure_ascii=False))


def main() -> None:
    """Do so; the server is stopped also if something fails, or if this process is told to stop."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with socket.create_server(("127.0.0.1", 0)) as listener:  # who connects from now on is served in time
        command = ["uvicorn", "bookshop.api:app", "--fd", str(listener.fileno()), "--log-level", "warning"]
        server = subprocess.Popen([sys.executable, "-m", *command], pass_fds=[listener.fileno()])
        address = listener.getsockname()
    try:
        print(f"started uvicorn bookshop.api:app, process {server.pid}")
        ask(*address)
    finally:
        server.terminate()
        try:
            server.wait(SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        print(f"stopped process {server.pid}", flush=True)


if __name__ == "__main__":
    main()
