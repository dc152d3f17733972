"""An engine of raw bytes, for tests in one event loop: whatever is asked, it answers the same."""

import asyncio
import contextlib

__all__ = ["RawEngine", "ScriptedEngine"]


class ScriptedEngine:
    """A server that does with each connection what it is told; entered, it is its address.

    Args:
        script: Is called with a reader and a writer, and ends when the other side has gone.
    """

    def __init__(self, script):
        self._script = script
        self._serving = {}

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._run, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aexit__(self, *_):
        self._server.close()
        for writer in self._serving.values():
            writer.transport.abort()  # whatever it still has for a client that reads no more
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def _run(self, reader, writer):
        self._serving[asyncio.current_task()] = writer
        with contextlib.closing(writer), contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await self._script(reader, writer)


class RawEngine(ScriptedEngine):
    """A server that answers each request with the same bytes, cut into pieces of one size."""

    def __init__(self, answer, size=1 << 20, *, closes=False):
        super().__init__(self._served)
        self.answer, self.size, self.closes = answer, size, closes
        self.requests = []
        self.connections = 0
        self.sent_bytes = 0  # handed to the kernel, but for what one transport buffers

    async def _served(self, reader, writer):
        self.connections += 1
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next((line for line in head.split(b"\r\n") if line.startswith(b"Content-Length")), b":0")
            body = await reader.readexactly(int(length.partition(b":")[2]))
            if b"chunked" in head:
                body = await reader.readuntil(b"0\r\n\r\n")
            self.requests.append(head + body)
            for start in range(0, len(self.answer), self.size):
                writer.write(self.answer[start : start + self.size])
                await writer.drain()
                self.sent_bytes += self.size
                if self.size < len(self.answer):
                    await asyncio.sleep(0)
            if self.closes:
                break
