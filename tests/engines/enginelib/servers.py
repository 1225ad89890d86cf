# SPDX-License-Identifier: Apache-2.0
"""An image of nginx and Redis as Debian packs them: the packages' own files and the libraries that they need, out of the
root of tests/programs."""

import os
import subprocess
import sys

from enginelib import images

SERVERS_IMAGE = "docker.io/library/caisson-servers:latest"
PACKAGES = ("nginx", "nginx-light", "nginx-common", "libnginx-mod-http-echo", "redis-server", "redis-tools")
# Debian's configuration reads conf.d; its own site is made when the package is installed.
SITE = "server { listen %d; root /usr/share/nginx/html; }\n"
HTTP_PORT, REDIS_PORT = 80, 6379
NGINX = ("/usr/sbin/nginx", "-g", "daemon off;")
REDIS = ("/usr/bin/redis-server", "--port", str(REDIS_PORT), "--save", "", "--protected-mode", "no")
BLOB_BYTES = 4 << 20


def debian_root():
    """Made by tests/run-engines before the lane, which has no network."""
    programs = os.path.join(os.path.dirname(os.path.dirname(images.HERE)), "programs")  # tests/programs
    sys.path.insert(0, programs)  # Debian has a module of that name, too (python3-debian)
    try:
        import debian  # pylint: disable=import-outside-toplevel,import-error
        return str(debian.rootfs())
    finally:
        sys.path.remove(programs)


def listed(root):
    """The packages' files below /etc, /usr/bin, /usr/sbin, /usr/lib and nginx's own directories."""
    found = set()
    for package in PACKAGES:
        with open("%s/var/lib/dpkg/info/%s.list" % (root, package), encoding="utf-8") as f:
            found.update(f.read().split("\n"))
    def is_file(path):
        return os.path.islink(root + path) or not os.path.isdir(root + path)

    kept = ("/etc/nginx/", "/etc/redis/", "/usr/bin/", "/usr/sbin/", "/usr/lib/nginx/", "/usr/share/nginx/")
    found.update("/etc/nginx/modules-enabled/" + name for name in os.listdir(root + "/etc/nginx/modules-enabled"))
    return sorted(path for path in found if path.startswith(kept) and is_file(path))


def libraries(root, programs):
    """What the loader maps for them."""
    said = subprocess.run(["chroot", root, "ldd", *programs], check=True, capture_output=True, text=True, timeout=60).stdout
    words = {word for line in said.split("\n") if line.startswith("\t") for word in line.split()}
    return sorted(word for word in words if word.startswith("/lib"))


def servers_layer():
    root, layer, made = debian_root(), images.Layer(), set()

    def parents(path):
        for at in range(1, len(path)):
            if path[at] == "/" and path[1:at] not in made:
                made.add(path[1:at])
                layer.directory(path[1:at])

    def copy(path, source):
        parents(path)
        if os.path.islink(source):
            layer.link(path[1:], os.readlink(source))
            return
        with open(source, "rb") as f:
            layer.file(path[1:], f.read(), os.stat(source).st_mode & 0o777)

    files = listed(root)
    for path in files:
        copy(path, root + path)
    programs = [path for path in files if path.startswith(("/usr/bin/", "/usr/sbin/", "/usr/lib/nginx/"))
                and not os.path.islink(root + path) and open(root + path, "rb").read(4) == b"\x7fELF"]
    for name in ("lib", "lib64"):
        layer.link(name, "usr/" + name)
    for path in libraries(root, programs):
        real = subprocess.run(["chroot", root, "readlink", "-f", path], check=True, capture_output=True, text=True,
                              timeout=60).stdout.strip()
        copy("/usr" + path, root + real)
    for path in ("/etc/passwd", "/etc/group", "/etc/nsswitch.conf"):
        copy(path, root + path)
    for name in ("dev", "proc", "sys", "run", "tmp", "var", "var/lib", "var/lib/nginx", "var/lib/redis", "var/log",
                 "var/log/nginx"):
        layer.directory(name, 0o1777 if name == "tmp" else 0o755)
    layer.file("etc/nginx/conf.d/pods.conf", (SITE % HTTP_PORT).encode())
    layer.file("usr/share/nginx/html/blob", blob())
    return layer.finish()


def blob():
    """Bytes that do not repeat where a page or a buffer does."""
    return b"".join(b"%011d\n" % number for number in range(BLOB_BYTES // 12))


def build(path):
    """Writes the archive of SERVERS_IMAGE."""
    images.write_archive(path, SERVERS_IMAGE, [servers_layer()], {
        "Env": ["PATH=/usr/sbin:/usr/bin"], "WorkingDir": "/var/lib/redis"})
