# SPDX-License-Identifier: Apache-2.0
"""A client of the Container Runtime Interface, what a kubelet would say to containerd.

The messages come from proto/cri.proto through a descriptor set, not through generated modules:
those of the packaged protoc need not fit the packaged protobuf library.
"""

import os

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from grpc_tools import protoc

PROTO_DIR = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "proto")
SERVICE = "runtime.v1.RuntimeService"

RpcError = grpc.RpcError


def _load(work_dir):
    out = os.path.join(work_dir, "cri.desc")
    rc = protoc.main(["protoc", "-I" + PROTO_DIR, "--descriptor_set_out=" + out, "cri.proto"])
    assert rc == 0, "protoc failed on cri.proto"
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
    message. An error of the server raises RpcError. timeout_s bounds the call itself.
    """

    def __init__(self, socket, work_dir):
        self.pool = _load(work_dir)
        self.factory = message_factory.MessageFactory(self.pool)
        # A unix socket has no host name; servers written in Go refuse an empty one.
        self.channel = grpc.insecure_channel("unix:" + socket, options=[
            ("grpc.default_authority", "localhost")])
        service = self.pool.FindServiceByName(SERVICE)
        self.methods = {m.name: m for m in service.methods}

    def close(self):
        self.channel.close()

    def __getattr__(self, name):
        method = self.methods[name]
        request_class = self.factory.GetPrototype(method.input_type)
        response_class = self.factory.GetPrototype(method.output_type)
        stub = self.channel.unary_unary("/%s/%s" % (SERVICE, name),
                                        request_serializer=request_class.SerializeToString,
                                        response_deserializer=response_class.FromString)

        def call(timeout_s=30, **fields):
            request = json_format.ParseDict(fields, request_class())
            return stub(request, timeout=timeout_s)
        return call
