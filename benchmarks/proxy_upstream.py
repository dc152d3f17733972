"""An engine that costs next to nothing: answers chat requests with as many events as they allow, at a pace.

Run as a program: `proxy_upstream.py PORT SECONDS_BETWEEN_EVENTS`.
"""

import asyncio
import re
import sys

EVENT = (
    b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1795231900,"model":"bench",'
    b'"choices":[{"index":0,"delta":{"content":" token"},"finish_reason":null}]}\n\n'
)
USAGE = (
    b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1795231900,"model":"bench",'
    b'"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":%d,"total_tokens":%d}}\n\n'
)
WHOLE = (
    b'{"id":"chatcmpl-1","object":"chat.completion","created":1795231900,"model":"bench","choices":[{"index":0,'
    b'"message":{"role":"assistant","content":" token"},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":10,"completion_tokens":1,"total_tokens":11}}'
)
MODELS = b'{"object":"list","data":[{"id":"bench","object":"model","owned_by":"bench"}]}'
PACE_SECONDS = float(sys.argv[2]) if __name__ == "__main__" else 0.0


async def served(reader, writer):
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            body = await body_of(head, reader)
            if head.startswith(b"GET"):
                writer.write(whole(MODELS))
            elif re.search(rb'"stream":\s*true', body):
                await streamed(body, writer)
            else:
                writer.write(whole(WHOLE))
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def body_of(head, reader):
    length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
    if length is not None:
        return await reader.readexactly(int(length[1]))
    if b"chunked" not in head.lower():
        return b""
    body = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readuntil(b"\r\n")
    return body


def whole(body):
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    return head + body


async def streamed(body, writer):
    count = int(re.search(rb'"max_tokens":\s*(\d+)', body)[1])
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
    for number in range(count):
        if PACE_SECONDS and number:
            await asyncio.sleep(PACE_SECONDS)
        writer.write(chunk(EVENT))
        await writer.drain()
    if b"include_usage" in body:
        writer.write(chunk(USAGE % (count, count + 10)))
    writer.write(chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


async def run():
    server = await asyncio.start_server(served, "127.0.0.1", int(sys.argv[1]), backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(run())
