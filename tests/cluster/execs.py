"""pods/exec: the remotecommand protocol over a websocket, and a real process at its other end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
from typing import TYPE_CHECKING

from aiohttp import WSMsgType, web

from cluster.objects import StatusError
from cluster.processes import find

if TYPE_CHECKING:
    from cluster.faults import Faults
    from cluster.kubelet import Kubelet
    from cluster.processes import Container

PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
STDIN, STDOUT, STDERR, STATUS, CLOSE = 0, 1, 2, 3, 255
READ_BYTES = 32 * 1024  # what a kubelet copies at a time


def container_of(kubelet: Kubelet, pod: dict, name: str) -> Container:
    metadata = pod["metadata"]
    names = [
        c["name"]
        for kind in ("containers", "initContainers", "ephemeralContainers")
        for c in pod["spec"].get(kind, ())
    ]
    name = name or names[0]
    if name not in names:
        raise StatusError(400, "BadRequest", f"container {name} is not valid for pod {metadata['name']}")
    sandbox = kubelet.sandboxes.get(metadata["uid"])
    container = sandbox.containers.get(name) if sandbox else None
    if pod["status"].get("phase") in {"Succeeded", "Failed"}:
        raise StatusError(
            500, "InternalError",
            f"cannot exec into a container in a completed pod; current phase is {pod['status']['phase']}",
        )  # fmt: skip
    if container is None or container.exit_code is not None:
        message = f'unable to upgrade connection: container not found ("{name}")'
        raise StatusError(404, "NotFound", message)
    return container


async def serve(
    request: web.Request, container: Container, argv: list[str], faults: Faults, kubelet: Kubelet
) -> web.StreamResponse:
    protocols = PROTOCOLS[1:] if faults.only_v4 else PROTOCOLS
    socket = web.WebSocketResponse(protocols=protocols, max_msg_size=0, compress=False)
    await socket.prepare(request)
    for channel in (STDOUT, STDERR):
        await socket.send_bytes(bytes([channel]))  # as the server opens its channels
    if not find(argv[0], container.path):
        await _refuse(socket, argv[0])
        return socket
    process = await asyncio.create_subprocess_exec(
        *container.exec_argv(argv), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE, env=container.environment(), limit=READ_BYTES, start_new_session=True,
    )  # fmt: skip
    kubelet.cgroups.enter(container.uid, container.id, process.pid)
    session = _Session(socket, process, faults.take_exec(argv))
    listening = asyncio.ensure_future(session.listen())
    try:
        await session.run()
    finally:
        listening.cancel()
    return socket


async def _refuse(socket: web.WebSocketResponse, command: str) -> None:
    said = (
        "Internal error occurred: error executing command in container: failed to exec in container: "
        f'failed to start exec "x": OCI runtime exec failed: exec failed: unable to start container '
        f'process: exec: "{command}": executable file not found in $PATH: unknown'
    )
    body = {"metadata": {}, "status": "Failure", "message": said, "reason": "InternalError", "code": 500,
            "details": {"causes": [{"message": said}]}}  # fmt: skip
    await socket.send_bytes(bytes([STATUS]) + json.dumps(body).encode())
    await socket.close()


class _Session:
    """One exec; `fault` is what goes wrong with it, if anything."""

    def __init__(
        self, socket: web.WebSocketResponse, process: asyncio.subprocess.Process, fault: dict
    ) -> None:
        self.socket, self.process, self.fault = socket, process, fault
        self.sent = 0
        self.left = asyncio.Event()

    async def run(self) -> None:
        copying = [self._copy(self.process.stdout, STDOUT), self._copy(self.process.stderr, STDERR)]
        done = asyncio.ensure_future(asyncio.gather(*copying))
        done.add_done_callback(lambda d: d.cancelled() or d.exception())
        leaving = asyncio.ensure_future(self.left.wait())
        await asyncio.wait([done, leaving], return_when=asyncio.FIRST_COMPLETED)
        if not done.done():
            # kubernetes 89031: the process is not told; what it writes to is gone, that is all
            done.cancel()
            self.process._transport.get_pipe_transport(1).close()
            self.process._transport.get_pipe_transport(2).close()
            return
        leaving.cancel()
        code = await self.process.wait()
        if self.fault.get("kind") == "close-without-status":
            await self.socket.close()
            return
        await self.socket.send_bytes(bytes([STATUS]) + json.dumps(status(code)).encode())
        if self.fault.get("kind") == "status-without-close":
            await asyncio.sleep(self.fault.get("seconds", 30))
        await self.socket.close()

    async def _copy(self, stream: asyncio.StreamReader, channel: int) -> None:
        fault = self.fault.get("kind", "")
        while data := await stream.read(READ_BYTES):
            if fault == "cut" and channel == STDOUT and self.sent + len(data) > self.fault["after"]:
                self._cut(data)
                return
            if fault == "slow":
                await asyncio.sleep(len(data) / self.fault["rate"])
            with contextlib.suppress(ConnectionError):
                await self.socket.send_bytes(bytes([channel]) + data)
            if channel == STDOUT:
                self.sent += len(data)

    def _cut(self, data: bytes) -> None:
        """A frame's header that promises all of `data`, half of it, and no more."""
        transport = self.socket._req.transport
        body = bytes([STDOUT]) + data
        header = (
            bytes([0x82, 127]) + struct.pack("!Q", len(body))
            if len(body) > 65535
            else bytes([0x82, 126]) + struct.pack("!H", len(body))
        )
        transport.write(header + body[: len(body) // 2])
        transport.close()
        self.left.set()

    async def listen(self) -> None:
        async for message in self.socket:
            if message.type != WSMsgType.BINARY or not message.data:
                continue
            if message.data[0] == STDIN:
                self.process.stdin.write(message.data[1:])
            elif message.data[0] == CLOSE and message.data[1:] == bytes([STDIN]):
                self.process.stdin.close()
        self.left.set()


def status(code: int) -> dict:
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    code = 128 - code if code < 0 else code
    return {
        "metadata": {}, "status": "Failure",
        "message": f"command terminated with non-zero exit code: exit status {code}",
        "reason": "NonZeroExitCode", "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }  # fmt: skip
