# SPDX-License-Identifier: Apache-2.0
"""A client of the Container Runtime Interface, what a kubelet would say to containerd.

The messages come from proto/cri.proto through a descriptor set, not through generated modules:
those of the packaged protoc need not fit the packaged protobuf library.
"""

import os

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from grpc_tools import protoc

from enginelib import command

PROTO_DIR = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "proto")
INCLUDED = os.path.join(os.path.dirname(protoc.__file__), "_proto")
SERVICE = "runtime.v1.RuntimeService"

RpcError = grpc.RpcError


def _load(work_dir, proto):
    out = os.path.join(work_dir, proto + ".desc")
    rc = protoc.main(["protoc", "-I" + PROTO_DIR, "-I" + INCLUDED, "--include_imports",
                      "--descriptor_set_out=" + out, proto])
    assert rc == 0, "protoc failed on " + proto
    files = descriptor_pb2.FileDescriptorSet()
    with open(out, "rb") as f:
        files.ParseFromString(f.read())
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    return pool


class Client:
    """One method per call of the service: client.ExecSync(container_id=..., cmd=[...]).

    Keyword arguments are the request's fields, messages as nested dicts; the response is the
    message. An error of the server raises RpcError. timeout_s bounds the call itself; anys are its
    fields of the type Any, as {field: (type_url, bytes)}.
    """

    def __init__(self, socket, work_dir, proto="cri.proto", service=SERVICE, metadata=()):
        self.pool, self.service, self.metadata = _load(work_dir, proto), service, metadata
        self.factory = message_factory.MessageFactory(self.pool)
        # A unix socket has no host name; servers written in Go refuse an empty one.
        self.channel = grpc.insecure_channel("unix:" + socket, options=[
            ("grpc.default_authority", "localhost")])
        found = self.pool.FindServiceByName(service)
        self.methods = {m.name: m for m in found.methods}

    def close(self):
        self.channel.close()

    def encode(self, name, **fields):
        """The bytes of a message by its full name."""
        message = self.factory.GetPrototype(self.pool.FindMessageTypeByName(name))()
        return json_format.ParseDict(fields, message).SerializeToString()

    def __getattr__(self, name):
        method = self.methods[name]
        request_class = self.factory.GetPrototype(method.input_type)
        response_class = self.factory.GetPrototype(method.output_type)
        stub = self.channel.unary_unary("/%s/%s" % (self.service, name),
                                        request_serializer=request_class.SerializeToString,
                                        response_deserializer=response_class.FromString)

        def call(timeout_s=30, anys=None, **fields):
            request = json_format.ParseDict(fields, request_class())
            for field, (url, value) in (anys or {}).items():
                getattr(request, field).type_url, getattr(request, field).value = url, value
            return stub(request, timeout=timeout_s * command.PATIENCE, metadata=self.metadata)
        return call
