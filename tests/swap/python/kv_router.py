"""A real KvRouter that does what a test says: one call a line over a Unix socket, one answer a line.

usage: kv_router.py SOCKET ns component block_size CONFIG_JSON

  {"call": "best_worker", "with": {"token_ids": [...], "request_id": "r"}}   -> {"answer": ["worker id", "rank", "overlap"]}
  {"call": "free", "with": {"request_id": "r"}}                              -> {"answer": null}
  anything that fails                                                        -> {"error": "text"}

The socket is there once the router is. Integers go out as decimal text.
"""
import asyncio
import json
import sys

from dynamo.llm import KvRouter, KvRouterConfig
from dynamo.runtime import dynamo_worker
from endpoints import endpoint_of


def text_of(value):
    if isinstance(value, bool) or not isinstance(value, (int, list, tuple, dict)):
        return value
    if isinstance(value, int):
        return str(value)
    if isinstance(value, dict):
        return {key: text_of(member) for key, member in value.items()}
    return [text_of(member) for member in value]


async def answer_to(router, line):
    call = json.loads(line)
    try:
        return {"answer": text_of(await getattr(router, call["call"])(**call["with"]))}
    except Exception as error:  # whatever the binding raises is the observation
        return {"error": str(error)}


@dynamo_worker()
async def main(runtime):
    socket, namespace, component, block_size, config = sys.argv[1:]
    endpoint = endpoint_of(runtime, namespace, component, "generate")
    client = await endpoint.client()
    await client.wait_for_instances()
    router = KvRouter(endpoint, int(block_size), KvRouterConfig(**json.loads(config)))

    async def serve(reader, writer):
        while line := await reader.readline():
            writer.write((json.dumps(await answer_to(router, line)) + "\n").encode())
            await writer.drain()

    server = await asyncio.start_unix_server(serve, socket, limit=2**24)
    await server.serve_forever()


asyncio.run(main())
