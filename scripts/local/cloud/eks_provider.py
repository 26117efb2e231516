"""The eks provider: remote components that make the real ones' aws children.

Children are registered with the engine, so they are checked, diffed and created by the aws provider like any other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import grpc
import pulumi
import pulumi_eks
from google.protobuf import empty_pb2
from pulumi.provider import ConstructResult, Provider
from pulumi.provider.server import ProviderServicer
from pulumi.runtime.proto import provider_pb2 as pb
from pulumi.runtime.proto import provider_pb2_grpc

from scripts.local.cloud import sdk
from scripts.local.cloud.backend import UNKNOWN, Refused
from scripts.local.cloud.data_plane import DataPlane
from scripts.local.cloud.eks_components import Cluster, ManagedNodeGroup

VERSION = "4.4.0"
_ACCEPTED_NOT_MADE = ("nodeGroupOptions", "storageClasses", "fargate", "roleMappings", "userMappings", "instanceRole")


class EksProvider(Provider):
    """Builds the components that the engine asks for."""

    def __init__(self, data_plane: DataPlane) -> None:
        super().__init__(VERSION, "{}")
        self._data_plane = data_plane

    def construct(
        self,
        name: str,
        resource_type: str,
        inputs: Mapping[str, Any],
        options: pulumi.ResourceOptions | None = None,
    ) -> ConstructResult:
        """Check the arguments against the SDK's types, then register component and children."""
        arguments = {
            "eks:index:Cluster": pulumi_eks.ClusterArgs,
            "eks:index:ManagedNodeGroup": pulumi_eks.ManagedNodeGroupArgs,
        }
        if resource_type not in arguments:
            raise Refused("", f"{resource_type} is not simulated; known are: {', '.join(arguments)}")
        refusals = sdk.check(sdk.properties(arguments[resource_type]), _known(dict(inputs)))
        if refusals:
            told = "; ".join(f"{refusal.property}: {refusal.reason}" for refusal in refusals)
            raise Refused("", f"{resource_type} {name!r}: {told}")
        if resource_type == "eks:index:ManagedNodeGroup":
            group = ManagedNodeGroup(name, inputs, options)
            return ConstructResult(urn=group.urn, state={"nodeGroup": group.group, "placementGroupName": ""})
        ignored = [key for key in _ACCEPTED_NOT_MADE if inputs.get(key) is not None]
        if ignored:
            pulumi.log.warn(f"{name}: the simulated eks.Cluster takes {', '.join(ignored)}, but makes nothing of it")
        cluster = Cluster(name, inputs, self._data_plane, options)
        return ConstructResult(urn=cluster.urn, state=cluster.state())


class EksServicer(ProviderServicer):
    """Adds what the SDK's servicer lacks for an attached provider. One construct at a time: the SDK's settings are
    global.
    """

    def __init__(self, provider: EksProvider) -> None:
        super().__init__(provider, [], "")
        self._one_at_a_time = asyncio.Lock()

    async def Handshake(self, request: Any, context: Any) -> Any:
        return pb.ProviderHandshakeResponse(accept_secrets=True, accept_resources=True, accept_outputs=True)

    async def Attach(self, request: Any, context: Any) -> Any:
        self.engine_address = request.address
        return empty_pb2.Empty()

    async def CheckConfig(self, request: Any, context: Any) -> Any:
        return pb.CheckResponse(inputs=request.news)

    async def DiffConfig(self, request: Any, context: Any) -> Any:
        return pb.DiffResponse()

    async def Construct(self, request: Any, context: Any) -> Any:
        async with self._one_at_a_time:
            try:
                return await super()._construct(request, context)
            except Exception as error:
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))


async def serve(data_plane: DataPlane) -> tuple[grpc.aio.Server, int]:
    """Start the provider on a free loopback port; returns the server and the port."""
    server = grpc.aio.server(options=[("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)])
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(EksServicer(EksProvider(data_plane)), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    return server, port


def _known(value: Any) -> Any:
    """The arguments with everything that is an output or a resource replaced by UNKNOWN: types of the rest are
    checked.
    """
    if isinstance(value, pulumi.Output | pulumi.Resource):
        return UNKNOWN
    if isinstance(value, Mapping):
        return {key: _known(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_known(item) for item in value]
    return value
