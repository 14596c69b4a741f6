"""OpenLDAP's server as an ordinary user starts it: in a folder of its own, on a free port of 127.0.0.1."""

from __future__ import annotations

import atexit
import itertools
import shutil
import socket
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from ldap3 import Connection, Server

from tests.components import path_of
from tests.waiting import free_port, until

SUFFIX, ADMIN, AGENT = "dc=example", "cn=admin,dc=example", "cn=agent,dc=example"
PASSWORD = "of the directory"  # of nobody
CONFIGURATION = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/nis.schema
include /etc/ldap/schema/inetorgperson.schema
pidfile {folder}/pid
modulepath /usr/lib/ldap
moduleload back_mdb
sizelimit 5000
{tls}
database mdb
dbnosync
maxsize 67108864
suffix {suffix}
rootdn {admin}
rootpw "{password}"
directory {folder}/db
index uid,memberUid,member eq
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="{agent}" read by * none
"""
numbers = itertools.count(1)


class Slapd:
    """One server. What was stored is there again after `kill` and `start`."""

    def __init__(self, certificate: tuple[Path, Path] | None = None, listen: str = "ldap://127.0.0.1") -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="parasol-ldap-", dir="/tmp"))
        (self.folder / "db").mkdir()
        words = {"folder": self.folder, "suffix": SUFFIX, "admin": ADMIN, "agent": AGENT, "password": PASSWORD}
        (self.folder / "slapd.conf").write_text(CONFIGURATION.format(tls=_tls(certificate), **words))
        self.port = free_port()
        self.url, self._listen = f"ldap://127.0.0.1:{self.port}", f"{listen}:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None
        self._admin: Connection | None = None
        self.start()
        self.add(SUFFIX, ["dcObject", "organization"], dc="example", o="example")
        self.add(AGENT, ["organizationalRole", "simpleSecurityObject"], cn="agent", userPassword=PASSWORD)

    def start(self) -> None:
        """Start it and wait until it takes connections."""
        # -d keeps it in the foreground.
        command = [path_of("slapd"), "-d", "0", "-h", self._listen, "-f", str(self.folder / "slapd.conf")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/")
        until(self._listens, f"slapd listens: {(self.folder / 'log').read_text()}")

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def kill(self) -> None:
        """kill -9."""
        if self._admin is not None:
            self._admin.unbind()
            self._admin = None
        assert self._process is not None
        self._process.kill()
        self._process.wait(10)

    def admin(self) -> Connection:
        """A connection that may do everything."""
        if self._admin is None:
            self._admin = Connection(
                Server(self.url, get_info="NO_INFO"), ADMIN, PASSWORD, auto_bind=True, check_names=False
            )
        return self._admin

    def add(self, dn: str, classes: list[str], **attributes: object) -> None:
        """A new entry."""
        admin = self.admin()
        assert admin.add(dn, classes, attributes), admin.result

    def clear(self, base: str, question: str) -> None:
        """Delete what fits below a base."""
        admin = self.admin()
        admin.search(base, question)
        for dn in [said["dn"] for said in admin.response or [] if said["type"] == "searchResEntry"]:
            admin.delete(dn)

    def close(self) -> None:
        """End it and remove its folder."""
        self.kill()
        shutil.rmtree(self.folder)


def _tls(certificate: tuple[Path, Path] | None) -> str:
    if certificate is None:
        return ""
    return f"TLSCertificateFile {certificate[0]}\nTLSCertificateKeyFile {certificate[1]}"


@cache
def shared_slapd() -> Slapd:
    """One for the whole run; each test takes a base of its own."""
    server = Slapd()
    atexit.register(server.close)
    return server
