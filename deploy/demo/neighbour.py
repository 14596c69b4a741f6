"""Hostile code in one person's workspace while another's runs beside it: everything that it tries is refused."""

from __future__ import annotations

import json
from typing import Any

from deploy.demo.identity import agents_own
from deploy.demo.journey import Journey, Step, must
from deploy.demo.people import PEOPLE
from deploy.demo.world import World

FACILITY = "alpha"
OURS = "__Host-parasol"
"""How the names of the portal's and the gateway's cookies begin."""

TARGET = """
import glob, json, os, socket
from pathlib import Path

def listening(path, family):
    try:
        lines = open(path).read().splitlines()[1:]
    except OSError:
        return
    for line in lines:
        words = line.split()
        if words[3] == "0A" and int(words[7]) == os.getuid():
            yield int(words[1].rpartition(":")[2], 16)

ports = {*listening("/proc/net/tcp", 4), *listening("/proc/net/tcp6", 6)}
hosts = {"127.0.0.1", socket.gethostbyname(socket.gethostname())}
sockets = {words[7] for words in map(str.split, open("/proc/net/unix")) if len(words) > 7 and words[7].startswith("/")}
mine = {path for path in sockets if os.path.exists(path) and os.stat(path).st_uid == os.getuid()}
print(json.dumps({
    "pids": [os.getpid(), os.getppid()], "uid": os.getuid(), "doors": [[host, port] for host in hosts for port in ports],
    "sockets": sorted(mine), "folders": [str(Path.cwd()), os.path.expanduser("~"), *map(os.path.realpath, glob.glob("p*/*"))],
}))
"""
ATTACK = """
import http.client, json, os, signal, socket, urllib.request
from pathlib import Path
import zmq

done = []

def attempt(what, do):
    try:
        if do():
            done.append(what)
    except (OSError, http.client.HTTPException):
        pass

def speaks(family, address):
    with socket.socket(family) as ours:
        ours.settimeout(5)
        ours.connect(address)
        return True

def obeys(host, port):
    with urllib.request.urlopen(f"http://{host}:{port}/api/contents", timeout=3) as answer:
        return answer.status == 200

def hears(host, port):
    # Whether it may subscribe to what a kernel prints there: that takes no key (ZMTP, whose greeting comes unasked).
    with socket.create_connection((host, port), timeout=1) as ours:
        if ours.recv(1) != b"\\xff":
            return False
    with zmq.Context() as all_, all_.socket(zmq.SUB) as ours:
        ours.linger = 0
        told = ours.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED)
        ours.subscribe(b"")
        ours.connect(f"tcp://{host}:{port}")
        heard = bool(told.poll(1000))
        ours.disable_monitor()
        told.close()
        return heard

def owner(pid):
    return next(int(line.split()[1]) for line in open(f"/proc/{pid}/status") if line.startswith("Uid:"))

def write(path):
    Path(path, "intruder").write_text("x")
    return True

for path in FILES:
    attempt(f"read {path}", lambda: (os.listdir if os.path.isdir(path) else lambda p: open(p, "rb").read(1))(path) or True)
for path in FOLDERS:
    attempt(f"listed {path}", lambda: os.listdir(path) or True)
    attempt(f"wrote in {path}", lambda: write(path))
for path in SOCKETS:
    attempt(f"spoke with {path}", lambda: speaks(socket.AF_UNIX, path))
for host, port in DOORS:
    attempt(f"was obeyed at {host}:{port}", lambda: obeys(host, port))
    attempt(f"can hear a kernel at {host}:{port}", lambda: hears(host, port))
for pid in PIDS:
    if Path(f"/proc/{pid}").exists() and owner(pid) == UID:
        attempt(f"ended {pid}", lambda: os.kill(pid, signal.SIGTERM) is None)
        for name in ("environ", "mem", "cwd", "root"):
            attempt(f"opened {name} of {pid}", lambda: os.open(f"/proc/{pid}/{name}", os.O_RDONLY) or True)
print(json.dumps(done))
"""
TRAP = """
from pathlib import Path
folder = Path.home() / ".jupyter"
folder.mkdir(exist_ok=True)
(folder / "jupyter_server_config.py").write_text('''
import json
from pathlib import Path
from tornado.web import RequestHandler

finished = RequestHandler._execute

async def execute(self, *words, **more):
    with (Path.home() / "heard").open("a") as file:
        file.write(json.dumps(sorted(self.request.headers.get_all())) + chr(10))
    return await finished(self, *words, **more)

RequestHandler._execute = execute
''')
"""


def neighbour(step: Step, world: World, kernel: Any) -> None:
    """Ben's code against the workspace in which Ada's `kernel` runs, the agent, and what his own browser shows to his workspace."""
    seen = json.loads(kernel.run(TARGET))
    ben = Journey(world.addresses, PEOPLE[1])
    step("another person signs in", ben.sign_in)
    step("and links their account at Alpha", lambda: ben.connect(FACILITY))
    dataset = step("and finds their own dataset", lambda: ben.find(facilities=[f"Facility:{FACILITY}"]))
    hostile = step("and starts a workspace beside it", lambda: _kernel(ben, dataset))
    step(
        "hostile code in it reaches nothing of the first one's or the agent's",
        lambda: _attack(hostile, seen, world),
    )
    step("the first one goes on", lambda: must(kernel.run("print(6 * 7)").strip() == "42", "it does not"))
    step("it sets a trap for its visitor's cookies", lambda: (hostile.run(TRAP), ben.stop()))
    trapped = step("and is started again with it", lambda: _kernel(ben, dataset))
    step("it hears no cookie of the gateway's and no token", lambda: _heard(ben, trapped))
    step("the other person's workspace is stopped", ben.stop)


def _kernel(journey: Journey, dataset: dict[str, Any]) -> Any:
    journey.launch(dataset)
    journey.open_workspace()
    return journey.kernel()


def _attack(kernel: Any, seen: dict[str, Any], world: World) -> None:
    must(seen["doors"] or seen["sockets"], "the first one listens nowhere")
    own = json.loads(kernel.run(TARGET))["folders"]  # in pods some are of the same name
    folders = [folder for folder in seen["folders"] if folder not in own]
    must(folders, "the first one has no folder that the other has not")
    given = {
        "FILES": agents_own(world), "FOLDERS": folders, "SOCKETS": [agents_own(world)[0], *seen["sockets"]],
        "DOORS": seen["doors"], "PIDS": seen["pids"], "UID": seen["uid"],
    }  # fmt: skip
    code = "\n".join(f"{name} = {value!r}" for name, value in given.items())
    done = json.loads(kernel.run(f"{code}\n{ATTACK}"))
    must(not done, f"it {', '.join(done)}")


def _heard(journey: Journey, kernel: Any) -> None:
    """Its server has heard its visitor, and nothing that the visitor's browser keeps for the gateway."""
    heard = kernel.run("import pathlib; print((pathlib.Path.home() / 'heard').read_text())")
    must("Host" in heard, "the trap did not close")
    jars = journey.browser.cookies.values()
    kept = {value for jar in jars for name, value in jar.items() if name.startswith(OURS)}
    must(kept, "the browser keeps no cookie of ours")
    must(OURS not in heard and not any(value in heard for value in kept), f"it heard {heard}")
