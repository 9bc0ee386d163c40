"""Engines' own KV events over ZMQ, as the standalone indexer reads them: three frames, a batch of events each.

usage: engine_publisher.py SOCKET

  {"call": "bind", "with": {"name": "a"}}                                    -> {"answer": "tcp://127.0.0.1:41000"}
  {"call": "publish", "with": {"name": "a", "rank": 0, "events": [...]}}     -> {"answer": null}

The socket is there once the script is. Numbers of events may be given as decimal text.
"""
import asyncio
import json
import struct
import sys
import time

import msgpack
import zmq

context = zmq.Context()
publishers = {}


def number_of(value):
    if isinstance(value, list):
        return [number_of(member) for member in value]
    return int(value) if isinstance(value, str) and value.isdigit() else value


def bind(name):
    socket = context.socket(zmq.PUB)
    port = socket.bind_to_random_port("tcp://127.0.0.1")
    publishers[name] = {"socket": socket, "sequence": 0}
    return f"tcp://127.0.0.1:{port}"


def publish(name, rank, events):
    publisher = publishers[name]
    batch = msgpack.packb([time.time(), number_of(events), rank])
    publisher["socket"].send_multipart([b"", struct.pack(">Q", publisher["sequence"]), batch])
    publisher["sequence"] += 1


async def serve(reader, writer):
    while line := await reader.readline():
        call = json.loads(line)
        try:
            answer = {"answer": {"bind": bind, "publish": publish}[call["call"]](**call["with"])}
        except Exception as error:  # the test says what is wrong
            answer = {"error": str(error)}
        writer.write((json.dumps(answer) + "\n").encode())
        await writer.drain()


async def main():
    server = await asyncio.start_unix_server(serve, sys.argv[1], limit=2**24)
    await server.serve_forever()


asyncio.run(main())
