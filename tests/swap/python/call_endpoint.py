"""Calls one instance of an endpoint with Dynamo's own Python client and prints what it yields.

usage: call_endpoint.py ns component endpoint instance_id REQUEST_JSON...

One line per request, after a mark: {"items": [...], "error": null | "text"}.
"""
import asyncio
import json
import os
import sys

from dynamo.runtime import dynamo_worker
from endpoints import endpoint_of

MARK = "@@ "


async def call(client, instance_id, request):
    items = []
    try:
        stream = await client.direct(request, instance_id)
        async for item in stream:
            items.append(item.data())
    except Exception as error:  # whatever the binding raises is the observation
        return {"items": items, "error": str(error)}
    return {"items": items, "error": None}


@dynamo_worker()
async def main(runtime):
    namespace, component, endpoint, instance_id, *requests = sys.argv[1:]
    client = await endpoint_of(runtime, namespace, component, endpoint).client()
    while int(instance_id) not in client.instance_ids():  # wait_for_instances is content with any one
        await asyncio.sleep(0.02)
    for request in requests:
        print(MARK + json.dumps(await call(client, int(instance_id), json.loads(request))), flush=True)
    os._exit(0)  # the runtime's threads abort now and then while the interpreter goes down


asyncio.run(main())
