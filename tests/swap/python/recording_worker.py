"""A worker of Dynamo's own library that tells every request it gets, and answers it at once; no engine.

usage: recording_worker.py ns component MODEL_FOLDER NAME [ADAPTER...]

Serves the model NAME and its LoRA adapters, whose cards the library makes. One line per request, after a mark:
{"request": {...}}; one as soon as it serves: {"instance": "id"}.
"""
import asyncio
import json
import sys

from dynamo.llm import ModelInput, ModelType, WorkerType, register_model
from dynamo.runtime import dynamo_worker
from endpoints import endpoint_of

MARK = "@@ "


def tell(what):
    print(MARK + json.dumps(what), flush=True)


@dynamo_worker()
async def main(runtime):
    namespace, component, folder, name, *adapters = sys.argv[1:]
    endpoint = endpoint_of(runtime, namespace, component, "generate")

    async def generate(request, context):
        tell({"request": request})
        yield {"token_ids": [9707], "finish_reason": "stop"}

    async def publish():
        common = {"worker_type": WorkerType.Aggregated, "kv_cache_block_size": 32, "ignore_weights": True}
        await register_model(ModelInput.Tokens, ModelType.Chat | ModelType.Completions, endpoint, folder, name, **common)
        for adapter in adapters:
            await register_model(ModelInput.Tokens, ModelType.Chat | ModelType.Completions, endpoint, folder, lora_name=adapter, base_model_path=folder, **common)
        tell({"instance": str(endpoint.connection_id())})

    await asyncio.gather(endpoint.serve_endpoint(generate), publish())


asyncio.run(main())
