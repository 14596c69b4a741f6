"""nginx as an ordinary user: in front of hubs (gRPC, or whole streams) and of web processes."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.components import path_of
from tests.waiting import alive, free_port, until

_MODULE = "/usr/lib/nginx/modules/ngx_stream_module.so"
_HEAD = """
load_module {module};
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 4096; }}
"""
_PATHS = "".join(
    f"    {kind}_temp_path {{folder}}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
)


class Nginx:
    """`kind` is `grpc` (plaintext HTTP/2 both ways), `stream` or `web`; `targets` are ports of 127.0.0.1."""

    def __init__(self, folder: Path, kind: str, targets: Sequence[int]) -> None:
        self.folder, self.kind, self.port = folder, kind, free_port()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.aim(targets)
        with (folder / "out").open("wb") as out:
            command = [
                path_of("nginx"),
                "-e",
                str(folder / "error.log"),
                "-p",
                str(folder),
                "-c",
                str(folder / "nginx.conf"),
            ]
            self._process = subprocess.Popen(command, stdout=out, stderr=out)
        until(lambda: (folder / "nginx.pid").exists() or not alive(self._process), "nginx runs")
        assert alive(self._process), (folder / "error.log").read_text()

    def aim(self, targets: Sequence[int]) -> None:
        """Write the configuration; `reload` makes it count."""
        servers = " ".join(f"server 127.0.0.1:{port} max_fails=0;" for port in targets)
        body = {"grpc": _GRPC, "stream": _STREAM, "web": _WEB}[self.kind]
        text = (_HEAD + body).format(folder=self.folder, port=self.port, servers=servers, module=_MODULE)
        (self.folder / "nginx.conf").write_text(text)

    def reload(self) -> None:
        """New workers; the old ones send GOAWAY and end with their last connection."""
        self._process.send_signal(signal.SIGHUP)

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(10)


_GRPC = (
    """http {{
    access_log off;
"""
    + _PATHS
    + """    upstream hubs {{ {servers} }}
    server {{
        listen 127.0.0.1:{port} http2;
        client_max_body_size 0;
        location / {{ grpc_pass grpc://hubs; grpc_read_timeout 60s; grpc_send_timeout 60s; }}
    }}
}}
"""
)
_STREAM = """stream {{
    upstream hubs {{ {servers} }}
    server {{ listen 127.0.0.1:{port}; proxy_pass hubs; proxy_connect_timeout 1s; }}
}}
"""
_WEB = (
    """http {{
    access_log off;
"""
    + _PATHS
    + """    upstream webs {{ {servers} }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://webs;
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header Connection "";
            proxy_next_upstream error timeout non_idempotent;
            proxy_connect_timeout 1s;
        }}
    }}
}}
"""
)


@contextmanager
def running_nginx(folder: Path, kind: str, targets: Sequence[int]) -> Iterator[Nginx]:
    """One that is gone at the end."""
    server = Nginx(folder, kind, targets)
    try:
        yield server
    finally:
        server.close()
