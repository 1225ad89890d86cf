# SPDX-License-Identifier: Apache-2.0
"""A server in a network that a CNI plugin has made, asked from outside."""

import hashlib
import json
import os
import pathlib
import subprocess
import time
import urllib.error
import urllib.request

import pytest

CNI = pathlib.Path("/usr/lib/cni")
ADDRESS, PORT = "10.14.0.2", 8080  # class sentry binds what an ordinary user of the host may
PATIENCE_S = 120
NGINX = r"""
    mkdir -p www && cat /usr/bin/perl /usr/bin/python3.11 > www/blob && cp www/blob copy
    cat > nginx.conf <<'E'
    daemon off; pid /run/nginx.pid; error_log /work/error.log; worker_processes 2; user root;
    events { worker_connections 256; }
    http { access_log off; server { listen 8080; listen [::]:8080; root /work/www; } }
E
    nginx -c /work/nginx.conf &
    for i in $(seq 6000); do [ -e /work/stop ] && break; sleep 0.1; done
    nginx -c /work/nginx.conf -s quit; wait
"""
CONFIG = {"cniVersion": "0.4.0", "name": "programs", "type": "bridge", "bridge": "cni-programs",
          "isDefaultGateway": True}


class Network:
    """A network namespace with eth0 on a bridge of the host."""

    def __init__(self, directory):
        self.holder = subprocess.Popen(["unshare", "-n", "sh", "-c", "ip link set lo up; echo ready; exec sleep 10000"],
                                       stdout=subprocess.PIPE)
        assert self.holder.stdout.readline() == b"ready\n"
        self.path = f"/proc/{self.holder.pid}/ns/net"
        self.config = {**CONFIG, "ipam": {"type": "host-local", "dataDir": str(directory / "ipam"),
                                          "ranges": [[{"subnet": "10.14.0.0/24"}], [{"subnet": "fd00:14::/64"}]]}}

    def cni(self, command):
        env = {"CNI_COMMAND": command, "CNI_CONTAINERID": "programs", "CNI_NETNS": self.path, "CNI_IFNAME": "eth0",
               "CNI_PATH": str(CNI), "PATH": os.environ["PATH"]}
        done = subprocess.run([CNI / "bridge"], input=json.dumps(self.config), env=env, capture_output=True, text=True,
                              check=False)
        assert done.returncode == 0, done.stdout

    def settle(self):
        """Who connects while the bridge's address is tentative (it is for a second) gets ::1 for a source, and
        keeps it: nobody ever answers."""
        end = time.monotonic() + PATIENCE_S
        while subprocess.run(["ip", "-6", "-o", "addr", "show", "dev", CONFIG["bridge"], "tentative"],
                             capture_output=True, check=True).stdout:
            assert time.monotonic() < end, "the bridge's address stays tentative"
            time.sleep(0.05)

    def close(self):
        self.cni("DEL")
        subprocess.run(["ip", "link", "del", CONFIG["bridge"]], check=False)
        self.holder.kill()
        self.holder.wait()
        self.holder.stdout.close()


@pytest.fixture
def network(tmp_path):
    if not (CNI / "bridge").exists():
        pytest.skip("needs CNI plugins: CAVEATS.md#unit-iproute2")
    made = Network(tmp_path)
    made.cni("ADD")
    made.settle()
    yield made
    made.close()


def fetch(url):
    """The answer's body; waits for the server to listen."""
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:
                return answer.read()
        except urllib.error.HTTPError:
            raise
        except (urllib.error.URLError, ConnectionError):
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def test_nginx_is_asked_by_the_host_over_a_bridge(sandbox, network):
    begun = sandbox.begin(NGINX, network=network.path)
    work = begun[3]
    bodies = [fetch(f"http://{host}:{PORT}/blob") for host in (ADDRESS, "[fd00:14::2]", ADDRESS)]
    for _ in range(20):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"http://{ADDRESS}:{PORT}/none", timeout=PATIENCE_S)
    (work / "stop").touch()
    result = sandbox.finish(begun, PATIENCE_S)

    wanted = hashlib.sha256((work / "copy").read_bytes()).digest()
    assert len(bodies[0]) > 5_000_000 and {hashlib.sha256(body).digest() for body in bodies} == {wanted}
    assert result.code == 0, str(result)
