# SPDX-License-Identifier: Apache-2.0
"""The typed event stream of class sentry (docs/EVENTS.md): to files, sockets and fifos, and followed live."""

import json
import pathlib
import socket
import struct

import pytest

from lib.runtime import refused, wait_until

pytestmark = [pytest.mark.classes("sentry"), pytest.mark.beyond("runc", "crun", reason="have no such stream")]
SCHEMA = json.loads((pathlib.Path(__file__).parents[2] / "docs/events.schema.json").read_text(encoding="ascii"))
WAIT_S = 30
ENOENT, EPERM, ECONNREFUSED = -2, -1, -111


def decode(runtime, path):
    return [json.loads(line) for line in runtime.call("debug", "decode", path).stdout.splitlines()]


def records_of(data):
    """The raw records of a stream, by its framing alone."""
    found = []
    while data:
        size, version, kind = struct.unpack_from("<IHH", data)
        assert version == 1 and 24 <= size <= len(data)
        found.append((kind, data[:size]))
        data = data[size:]
    return found


def run_with_sink(runtime, bundle, script, events="all", **options):
    sink = bundle.path / "events"
    flags = ["--event-sink", sink, "--events", events]
    result = runtime.run(bundle, ["sh", "-c", script], global_flags=flags, check=False, **options)
    return result, decode(runtime, sink)


def of(events, kind):
    return [e for e in events if e["event"] == kind]


def judge_by_schema(event):
    kind = next(k for k in SCHEMA["oneOf"] if k["properties"]["event"]["const"] == event["event"])
    assert set(kind["required"]) <= set(event) <= set(kind["properties"])
    for key, value in event.items():
        wanted = kind["properties"][key].get("type")
        assert wanted is None or isinstance(value, {"integer": int, "string": str, "array": list}[wanted]), key


def test_a_run_is_told_from_its_start_to_its_exit_code(runtime, bundle):
    bundle.process.user.uid = 7
    result, events = run_with_sink(runtime, bundle, "/bin/ls /nowhere; exit 3")

    assert result.returncode == 3
    for event in events:
        judge_by_schema(event)
    assert [e["sequence"] for e in events] == list(range(1, len(events) + 1))
    assert {e["container"] for e in events} == {bundle.id}
    first, last = events[0], events[-1]
    assert first["event"] == "container_start" and first["args"] == ["sh", "-c", "/bin/ls /nowhere; exit 3"]
    assert (first["pid"], first["tid"], first["uid"], first["euid"], first["cwd"]) == (1, 1, 7, 7, "/")
    assert first["exe"].endswith("/busybox") and first["comm"] == "sh"
    assert last["event"] == "container_exit" and last["status"] == 3
    child = of(events, "clone")[0]["result"]
    execed = of(events, "execve")[-1]
    assert (execed["pid"], execed["result"], execed["args"]) == (child, 0, ["/bin/ls", "/nowhere"])
    assert [(e["pid"], e["code"], e["signal"]) for e in of(events, "exit")] == [(child, 1, 0), (1, 3, 0)]


def test_an_open_has_its_path_its_flags_and_what_was_found(runtime, bundle):
    bundle.rootfs.symlink("link", "/etc/passwd")
    _, events = run_with_sink(runtime, bundle, "cat link >/tmp/new; cat nothing", "open")

    by_path = {e["path"]: e for e in events}
    assert by_path["link"]["file"] == "/etc/passwd" and by_path["link"]["result"] >= 0
    assert by_path["link"]["dirfd"] == -100 and int(by_path["link"]["flags"], 16) & 3 == 0
    assert int(by_path["/tmp/new"]["flags"], 16) & 0o1101 == 0o1101 and by_path["/tmp/new"]["mode"] == "0x1b6"
    assert by_path["nothing"]["result"] == ENOENT and by_path["nothing"]["file"] == ""
    assert {e["event"] for e in events} == {"open"}


def test_sockets_mounts_and_ids_are_told(runtime, bundle):
    bundle.capabilities("CAP_SYS_ADMIN", "CAP_SETUID", "CAP_SETGID")
    bundle.process.noNewPrivileges = False
    _, events = run_with_sink(
        runtime, bundle,
        "testinit tcp 127.0.0.1 81; testinit unix @hidden hello; mount -t tmpfs none /tmp; umount /tmp; "
        "timeout 30 nc -l -p 4711 & while ! testinit tcp 127.0.0.1 4711; do usleep 1000; done; wait; su tester -s /bin/sh -c true",
        "connect,bind,mount,setid")

    connects = {(e["address"], e["port"]): e for e in of(events, "connect")}
    assert connects["127.0.0.1", 81]["result"] == ECONNREFUSED and connects["127.0.0.1", 81]["family"] == 2
    assert [e["port"] for e in of(events, "bind")] == [4711]
    assert [(e["call"], e["target"], e["type"], e["result"]) for e in of(events, "mount")] == [
        ("mount", "/tmp", "tmpfs", 0), ("umount2", "/tmp", "", 0)]
    calls = [(e["call"], e["first"], e["result"]) for e in of(events, "setid")]
    assert ("setuid", 1000, 0) in calls


def test_a_refused_mount_and_a_tracer_are_told(runtime, bundle):
    _, events = run_with_sink(runtime, bundle, "mount -t tmpfs none /tmp; sleep 1000 & testinit ptrace $!; kill -9 $!; wait $!",
                              "mount,ptrace,exit")

    assert [(e["target"], e["result"]) for e in of(events, "mount")] == [("/tmp", EPERM)]
    assert [(e["request"], e["result"]) for e in of(events, "ptrace")] == [(16, 0)]
    assert 9 in [e["signal"] for e in of(events, "exit")]


def test_hostile_names_stay_within_their_line(runtime, bundle):
    _, events = run_with_sink(runtime, bundle, r"""n=$(printf '\033[2J\n"\\\xe2\x80\xaex'); cat "$n" """, "open")
    text = runtime.call("debug", "decode", bundle.path / "events").stdout

    assert all(0x20 <= ord(c) < 0x7f or c == "\n" for c in text)
    assert b'\033[2J\n"\\\xe2\x80\xaex' in [e["path"].encode("latin-1") for e in events]


def test_each_message_of_a_socket_is_one_record(runtime, bundle, work_dir):
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(work_dir / "sink"))
        listener.listen()
        run = runtime.start_run(bundle, ["true"], global_flags=["--event-sink", work_dir / "sink"])
        listener.settimeout(WAIT_S)
        connection, _ = listener.accept()
    with connection:
        connection.settimeout(WAIT_S)
        messages = list(iter(lambda: connection.recv(1 << 16), b""))
    assert run.wait() == 0

    records = [records_of(m) for m in messages]
    assert all(len(r) == 1 for r in records)
    assert records[0][0][0] == 1 and records[-1][0][0] == 2


def test_a_slow_reader_stops_nobody_and_is_told_of_its_losses(runtime, bundle, work_dir):
    """It reads nothing until 1 MiB of records was made; then it gets what was kept, and how many were not."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(work_dir / "sink"))
        listener.listen()
        long = "x" * 900
        script = (f"i=0; while [ $i -lt 1000 ]; do true </{long}; i=$((i+1)); done 2>/dev/null; echo made; "
                  "read line; true </there")
        run = runtime.start_run(bundle, ["sh", "-c", script], global_flags=["--event-sink", work_dir / "sink"])
        listener.settimeout(WAIT_S)
        connection, _ = listener.accept()
    with connection:
        assert run.read_line() == "made"
        connection.settimeout(WAIT_S)
        data = connection.recv(1 << 20)
        # More than the socket held: the ring has room again.
        while len(data) < 300 << 10:
            data += connection.recv(1 << 20)
        run.stdin.write(b"go\n")
        run.stdin.flush()
        while chunk := connection.recv(1 << 20):
            data += chunk
    run.wait()
    sink = work_dir / "read"
    sink.write_bytes(data)
    events = decode(runtime, sink)

    lost = of(events, "lost")
    assert len(lost) >= 1 and events[-1]["event"] == "container_exit"
    missing = sum(b["sequence"] - a["sequence"] - 1 for a, b in zip(events, events[1:]))
    assert missing == sum(e["count"] for e in lost) - len(lost)
    assert "/there" in [e["path"] for e in of(events, "open")]


def test_a_reader_that_goes_ends_the_stream_alone(runtime, bundle, work_dir):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(work_dir / "sink"))
        listener.listen()
        runtime.run_detached(bundle, global_flags=["--event-sink", work_dir / "sink"])
        listener.settimeout(WAIT_S)
        listener.accept()[0].close()

    for _ in range(3):
        assert runtime.exec(bundle, ["echo", "alive"]).stdout == "alive\n"


def test_a_running_container_is_followed(runtime, bundle):
    runtime.run_detached(bundle)
    follower = runtime.start_call("debug", "--events=enter,execve,exit,container_exit", bundle.id, "events")
    metrics = "caisson_event_listeners 1\n"
    wait_until(lambda: metrics in runtime.call("debug", bundle.id, "metrics").stdout, WAIT_S)
    runtime.exec(bundle, ["sh", "-c", "/bin/ls /; exit 0"])
    runtime.kill(bundle, "KILL")
    events = [json.loads(line) for line in follower.finish(timeout_s=WAIT_S).splitlines()]

    assert follower.wait() == 0
    assert events[0]["event"] == "enter" and events[0]["args"] == ["sh", "-c", "/bin/ls /; exit 0"]
    assert ["/bin/ls", "/"] in [e["args"] for e in of(events, "execve")]
    assert {e["event"] for e in events} <= {"enter", "execve", "exit", "container_exit"}


def test_events_of_class_ns_are_refused(runtime, bundle):
    bundle.save()
    runtime.call("--isolation", "ns", "create", "--bundle", bundle.path, bundle.id)

    refused(runtime, runtime.call("debug", bundle.id, "events", check=False), "class ns, which tells no events")


@pytest.mark.parametrize("flags,words", [
    (["--event-sink", "/tmp", "--events", "open"], "/tmp"),
    (["--event-sink", "events"], "not an absolute path"),
    (["--event-sink", "/dev/null"], "neither a file nor a fifo nor a unix socket"),
    (["--event-sink", "/nowhere/events"], "/nowhere/events"),
    (["--event-sink", "/x", "--events", "open,opem"], '"opem" is no event'),
])
def test_a_sink_or_list_that_cannot_be_is_an_error_of_create(runtime, bundle, flags, words):
    result = runtime.create(bundle, global_flags=flags, check=False)

    assert result.returncode == 1 and words in result.stderr.replace('\\"', '"')
    assert runtime.container_ids() == []


def test_a_sinks_annotation_counts_where_it_is_allowed(runtime, bundle, work_dir):
    sink, config = bundle.path / "events", work_dir / "caisson.json"
    bundle.config["annotations"] = {"io.caisson.event-sink": str(sink), "io.caisson.events": "container_exit"}
    refused(runtime, runtime.run(bundle, ["true"], check=False),
            "annotation io.caisson.events: allowed_annotations does not list it")
    assert not sink.exists()

    config.write_text(json.dumps({"allowed_annotations": ["io.caisson.event*"]}))
    runtime.run(bundle, ["true"], env={"CAISSON_CONFIG": str(config)})
    assert [e["event"] for e in decode(runtime, sink)] == ["container_exit"]


def test_the_configuration_names_a_sink_for_all(runtime, make_bundle, work_dir):
    sink, config = work_dir / "events", work_dir / "caisson.json"
    config.write_text(json.dumps({"event_sink": str(sink), "events": "container_start,container_exit"}))
    bundles = [make_bundle(), make_bundle()]
    for bundle in bundles:
        runtime.run(bundle, ["true"], env={"CAISSON_CONFIG": str(config)})

    assert [(e["container"], e["event"]) for e in decode(runtime, sink)] == [
        (b.id, e) for b in bundles for e in ("container_start", "container_exit")]
    assert sink.stat().st_mode & 0o777 == 0o600


def test_decode_says_where_a_stream_is_broken(runtime, bundle):
    run_with_sink(runtime, bundle, "true")
    sink = bundle.path / "events"
    data = sink.read_bytes()
    first = struct.unpack_from("<I", data)[0]
    sink.write_bytes(data[:first] + b"\0" * 64)
    refused(runtime, runtime.call("debug", "decode", sink, check=False), f"byte {first}: no event record begins here")
    sink.write_bytes(data[:-1])
    refused(runtime, runtime.call("debug", "decode", sink, check=False), "the last record is cut off")
