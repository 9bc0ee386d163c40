"""One real Dynamo endpoint, or one real Dynamo caller, for checks of our request plane against the other side.

    python dynamo_peer.py serve ns.component.endpoint
    python dynamo_peer.py call  ns.component.endpoint '{"mode":"stream","n":3}' [--after N stop|drop] [--times N]

Runs in the environment of any release; NATS_SERVER, ETCD_ENDPOINTS, DYN_REQUEST_PLANE say where. Talks in JSON lines on
stdout. `serve` prints {"served": instance id} and what happens to each request; it understands these bodies:

    {"mode": "stream", "n": N}     N items {"index": i, "id": context id}
    {"mode": "echo", …}            one item: the body
    {"mode": "large", "bytes": N}  one item {"pad": N characters}
    {"mode": "raise", "after": N}  N items, then ValueError("boom")
    {"mode": "slow"}               an item every 20 ms until the caller leaves; then prints {"left": context id}

`call` prints {"item": …} for each item, then {"end": count} or {"exception": "Type: text"}.
"""

import argparse
import asyncio
import json
import os

import uvloop
from dynamo.runtime import Context, DistributedRuntime, dynamo_worker


def say(**facts):
    print(json.dumps(facts), flush=True)


def endpoint_of(runtime: DistributedRuntime, path: str):
    if hasattr(runtime, "endpoint"):
        return runtime.endpoint(path)
    namespace, component, endpoint = path.split(".")  # <= 0.9
    return runtime.namespace(namespace).component(component).endpoint(endpoint)


async def answer(request, context):
    mode = request["mode"]
    if mode == "stream":
        for index in range(request["n"]):
            yield {"index": index, "id": context.id()}
    elif mode == "echo":
        yield request
    elif mode == "large":
        yield {"pad": "x" * request["bytes"]}
    elif mode == "raise":
        for index in range(request["after"]):
            yield {"index": index}
        raise ValueError("boom")
    elif mode == "slow":
        async for item in until_left(context):
            yield item


async def until_left(context):
    index = 0
    try:
        while not context.is_stopped() and not context.is_killed():
            yield {"index": index}
            index += 1
            await asyncio.sleep(0.02)
    finally:
        say(left=context.id())


async def serve(runtime: DistributedRuntime, path: str):
    endpoint = endpoint_of(runtime, path)
    say(served=str(endpoint.connection_id()))
    await endpoint.serve_endpoint(answer)


async def call(runtime: DistributedRuntime, options: argparse.Namespace):
    client = await endpoint_of(runtime, options.endpoint).client()
    await client.wait_for_instances()
    for turn in range(options.times):
        context = Context(f"peer-{turn}")
        try:
            count = await read(client, context, options)
            say(end=count)
        except Exception as error:  # what a caller sees is the result
            say(exception=f"{type(error).__name__}: {error}")


async def stream_of(client, context: Context, body: str):
    """Calls; 0.9.1's router may see an instance later than wait_for_instances does."""
    for attempt in range(20):
        try:
            return await client.round_robin(json.loads(body), annotated=False, context=context)
        except Exception as error:
            if "no instances found" not in str(error) or attempt == 19:
                raise
            await asyncio.sleep(0.1)


async def read(client, context: Context, options: argparse.Namespace) -> int:
    count = 0
    stream = await stream_of(client, context, options.body)
    async for item in stream:
        say(item=item)
        count += 1
        if options.after and count == int(options.after[0]):
            if options.after[1] == "drop":
                break
            context.stop_generating()
    return count


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=["serve", "call"])
    parser.add_argument("endpoint")
    parser.add_argument("body", nargs="?")
    parser.add_argument("--after", nargs=2, metavar=("N", "HOW"))
    parser.add_argument("--times", type=int, default=1)
    return parser.parse_args()


@dynamo_worker()
async def main(runtime: DistributedRuntime):
    options = arguments()
    if options.role == "serve":
        await serve(runtime, options.endpoint)
        return
    await call(runtime, options)
    if options.after:
        await asyncio.sleep(0.5)  # what a dropped stream sends leaves after the drop
    # Releases <= 1.4 abort now and then when the interpreter ends under their threads ("exception not rethrown").
    os._exit(0)


if __name__ == "__main__":
    uvloop.install()
    asyncio.run(main())
