"""The official Python clients before a frontend: one JSON line per feature, with what the client made of the answer.

    python clients.py BASE_URL MODEL IMAGE_URL PROMPT
"""

import json
import sys

import anthropic
import openai

base_url, model, image_url, prompt = sys.argv[1:]
client = openai.OpenAI(base_url=f"{base_url}/v1", api_key="none", max_retries=0, timeout=30)
claude = anthropic.Anthropic(base_url=base_url, api_key="none", max_retries=0, timeout=30)
messages = [{"role": "user", "content": prompt}]
picture = {"type": "image_url", "image_url": {"url": image_url}}
media_type, _, data = image_url.removeprefix("data:").partition(";base64,")


def told(feature, **facts):
    print(json.dumps({"feature": feature, **facts}), flush=True)


def failure(call):
    try:
        call()
    except openai.APIStatusError as error:
        return {"kind": type(error).__name__, "status": error.status_code, "message": error.message, "body": error.body}


told("models", ids=[entry.id for entry in client.models.list()], retrieved=client.models.retrieve(model).id)

answer = client.chat.completions.create(model=model, messages=messages, max_tokens=11)
told("chat", content=answer.choices[0].message.content, usage=answer.usage.to_dict(), request_id=answer._request_id)

chunks = list(
    client.chat.completions.create(
        model=model, messages=messages, max_tokens=110, stream=True, stream_options={"include_usage": True}
    )
)
told(
    "chat stream",
    content="".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices),
    pieces=len(chunks),
    usage=chunks[-1].usage.to_dict(),
)

with client.chat.completions.stream(model=model, messages=messages, max_tokens=11) as stream:
    told("chat stream helper", content="".join(event.delta for event in stream if event.type == "content.delta"))

cached = []
for _ in range(2):
    seen = client.chat.completions.create(
        model=model, max_tokens=11, messages=[{"role": "user", "content": [picture, {"type": "text", "text": "What is this?"}]}]
    )
    cached.append(seen.usage.prompt_tokens_details.cached_tokens)
told("image twice", cached=cached)

told("completion", text=client.completions.create(model=model, prompt=prompt, max_tokens=11).choices[0].text)

left = client.chat.completions.create(model=model, messages=messages, max_tokens=4000, stream=True)
next(iter(left))
left.close()
told("left")

told("unknown model", **failure(lambda: client.chat.completions.create(model="nobody", messages=messages)))
told("impossible temperature", **failure(lambda: client.chat.completions.create(model=model, messages=messages, temperature=9)))

response = client.responses.create(model=model, input=prompt, max_output_tokens=11)
told("response", text=response.output_text, status=response.status)
told("response stream", types=[event.type for event in client.responses.create(model=model, input=prompt, max_output_tokens=11, stream=True)])

message = claude.messages.create(model=model, max_tokens=11, messages=messages)
told("message", text=message.content[0].text, stop=message.stop_reason)
with claude.messages.stream(model=model, max_tokens=11, messages=messages) as stream:
    told("message stream", text=stream.get_final_text())
source = {"type": "base64", "media_type": media_type, "data": data}
seen = claude.messages.create(
    model=model,
    max_tokens=11,
    messages=[{"role": "user", "content": [{"type": "image", "source": source}, {"type": "text", "text": "What is this?"}]}],
)
told("message with an image", text=seen.content[0].text)
told("token count", tokens=claude.messages.count_tokens(model=model, messages=messages).input_tokens)
