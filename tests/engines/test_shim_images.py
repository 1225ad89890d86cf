# SPDX-License-Identifier: Apache-2.0
"""Images of several layers through containerd's snapshotters, and what an image says of its user."""

import os

import pytest

from enginelib import command, images
from enginelib.containerd_config import SERIES
from test_containerd import containerd, engine, make_pod, pod, sh  # noqa: F401 (fixtures)

IMAGE, OF_A_USER = ("docker.io/library/caisson-layers:" + tag for tag in ("latest", "user"))
# The transfer service of containerd 2 unpacks for the snapshotters of its settings alone.
IMPORT_BY_CTR = ("--local",) if SERIES == "2.1" else ()
LOOK = sh("cat /data/kept /data/changed /data/linked; ls /data /data/dir | tr '\\n' ' '; stat -c %a /data/kept")
SEEN = "lowest\nhighest\nhighest\n/data: changed dir kept linked  /data/dir: new 640\n"


@pytest.fixture(scope="module")
def layers(engine, work, tmp_path_factory):  # noqa: F811
    """Two images: a file changed, one removed and a directory emptied by the layers above."""
    lower, upper = images.Layer(), images.Layer()
    for layer in (lower, upper):
        layer.directory("data")
        layer.directory("data/dir")
    lower.file("data/kept", b"lowest\n", 0o640)
    lower.file("data/changed", b"lowest\n")
    lower.file("data/removed", b"lowest\n")
    lower.file("data/dir/old", b"lowest\n")
    upper.file("data/changed", b"highest\n")
    upper.file("data/.wh.removed", b"")
    upper.file("data/dir/.wh..wh..opq", b"")
    upper.file("data/dir/new", b"highest\n")
    upper.link("data/linked", "changed")
    directory = tmp_path_factory.mktemp("layers")
    content = [images.busybox_layer(str(directory)), lower.finish(), upper.finish()]
    for reference, config in ((IMAGE, {}), (OF_A_USER, {"User": "tester"})):
        path = os.path.join(directory, "layers.tar")
        images.write_archive(path, reference, content, {
            "Cmd": ["/bin/probe", "ids"], "WorkingDir": "/data", "Env": ["PATH=/bin"], **config})
        for snapshotter in ("overlayfs", "native"):
            engine.ctr("images", "import", *IMPORT_BY_CTR, "--snapshotter", snapshotter, path)


@pytest.mark.parametrize("snapshotter", ["overlayfs", "native"])
def test_layers_are_one_root_that_can_be_written(containerd, layers, snapshotter):  # noqa: F811
    def run(args):
        argv = containerd.run_argv(containerd.name(), args, ("--rm", "--snapshotter", snapshotter))
        argv[argv.index(images.TEST_IMAGE)] = IMAGE
        return containerd.ctr(*argv).out

    assert run(LOOK) == SEEN
    assert run(sh("echo new > /data/changed; rm -r /data/dir; mkdir /data/dir; mv /data/kept /data/dir; "
                  "cat /data/changed; ls /data/dir")) == "new\nkept\n"
    assert run(LOOK) == SEEN  # of another container


def test_user_and_directory_of_the_image(pod, layers):  # noqa: F811
    """A name is looked up in the image's own files; the pod's word is above the image's."""
    container = pod.start("a", (), image={"image": OF_A_USER})
    assert pod.wait_exited(container).exit_code == 0
    command.eventually(lambda: pod.log("a"), what="the log")
    assert pod.log("a")[0][3].startswith("uid=1000 gid=1000 ")
    container = pod.start("b", ("/bin/sleep", "1000"), image={"image": OF_A_USER})
    assert pod.exec(container, *sh("id -u; pwd; cat kept 2>&1; echo x > changed || true")).splitlines() == [
        "1000", "/data", "cat: can't open 'kept': Permission denied"]
    container = pod.start("c", ("/bin/sleep", "1000"), image={"image": OF_A_USER}, working_dir="/usr",
                          linux={"security_context": {"run_as_user": {"value": 0}}})
    assert pod.exec(container, *sh("id -u; pwd; cat /data/kept")) == "0\n/usr\nlowest\n"
