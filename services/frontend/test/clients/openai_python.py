"""The official Python client of OpenAI before a frontend of the scripted worker: one JSON line per feature.

usage: openai_python.py BASE_URL PICTURE_URL
"""
import json
import sys

import openai
from pydantic import BaseModel

base_url, picture_url = sys.argv[1:]
client = openai.OpenAI(base_url=f"{base_url}/v1", api_key="none", max_retries=0, timeout=30)
chat = client.chat.completions

parameters = {"type": "object", "properties": {"location": {"type": "string"}, "n": {"type": "number"}}}
weather = {"type": "function", "function": {"name": "get_weather", "parameters": parameters}}


class Place(BaseModel):
    location: str


class Weather(BaseModel):
    location: str
    n: int


strict = openai.pydantic_function_tool(Weather, name="get_weather")


def ask(script, model="test/tok"):
    return {"model": model, "messages": [{"role": "user", "content": f"Please script:{script}"}]}


def respond(script, model="test/tok"):
    return {"model": model, "input": f"Please script:{script}"}


def calls_of(calls):
    return [[call.function.name, json.loads(call.function.arguments)] for call in calls or []]


def first(answer):
    return answer.choices[0].message


def stream_of(**request):
    text, usage, thought = "", None, ""
    for chunk in chat.create(stream=True, **request):
        for choice in chunk.choices:
            text += choice.delta.content or ""
            thought += (choice.delta.model_extra or {}).get("reasoning_content") or ""
        usage = chunk.usage or usage
    return {"text": text, "thought": thought, "usage": usage and usage.to_dict()}


def helped(**request):
    with chat.stream(**request) as stream:
        kinds = [event.type for event in stream]
        return stream.get_final_completion(), set(kinds)


def tools_by_helper():
    return calls_of(first(helped(**ask("hermes1", "test/hermes"), tools=[weather])[0]).tool_calls)


def parsed_by_helper():
    completion, kinds = helped(**ask("named"), response_format=Place)
    return {"parsed": first(completion).parsed.model_dump(), "told": "content.done" in kinds}


def several():
    answer = chat.create(**ask("n2"), n=2, temperature=0.7)
    return [[choice.index, choice.message.content, choice.finish_reason] for choice in answer.choices]


def odds():
    content = chat.create(**ask("lp"), logprobs=True, top_logprobs=2).choices[0].logprobs.content
    return [[entry.token, len(entry.top_logprobs)] for entry in content]


def reasoning():
    message = first(chat.create(**ask("think", "test/think")))
    return [message.content, message.model_extra["reasoning_content"]]


def picture():
    content = [{"type": "text", "text": "See script:default"}, {"type": "image_url", "image_url": {"url": picture_url}}]
    return first(chat.create(model="test/vl", messages=[{"role": "user", "content": content}])).content


def response_stream():
    with client.responses.stream(**respond("default")) as stream:
        text = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
        return [text, stream.get_final_response().status]


def response_tool():
    output = client.responses.create(**respond("hermes1", "test/hermes"), tools=[{"type": "function", "strict": False, **weather["function"]}]).output
    return [[item.name, json.loads(item.arguments)] for item in output if item.type == "function_call"]


def request_id():
    answer = chat.with_raw_response.create(**ask("default"))
    return answer.parse().id == "chatcmpl-" + answer.headers["x-request-id"]


def sentence(call):
    try:
        call()
    except openai.APIError as error:
        return [type(error).__name__, error.message]


def error_in_stream():
    text = []

    def read():
        for chunk in chat.create(stream=True, **ask("midraise")):
            text.append(chunk.choices[0].delta.content or "")

    said = sentence(read)
    return ["".join(text), said]


def annotated():
    chunks = list(chat.create(stream=True, extra_body={"nvext": {"annotations": ["request_id"]}}, **ask("default")))
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    return [text, sum(not chunk.choices for chunk in chunks)]


features = {
    "models": lambda: [sorted(entry.id for entry in client.models.list()), client.models.retrieve("test/tok").id],
    "chat": lambda: [first(chat.create(**ask("cu"))).content, chat.create(**ask("cu")).usage.to_dict()],
    "stream": lambda: stream_of(**ask("unicode"), stream_options={"include_usage": True}),
    "stream helper": lambda: first(helped(**ask("default"))[0]).content,
    "several choices": several,
    "log probabilities": odds,
    "tools": lambda: calls_of(first(chat.create(**ask("hermes1", "test/hermes"), tools=[weather])).tool_calls),
    "tools by the stream helper": tools_by_helper,
    "a tool that must be called": lambda: calls_of(first(chat.create(**ask("reqarr"), tools=[weather], tool_choice="required")).tool_calls),
    "a tool, its arguments parsed": lambda: first(chat.parse(**ask("hermes1", "test/hermes"), tools=[strict])).tool_calls[0].function.parsed_arguments.model_dump(),
    "parse": lambda: first(chat.parse(**ask("named"), response_format=Place)).parsed.model_dump(),
    "parse by the stream helper": parsed_by_helper,
    "JSON mode": lambda: json.loads(first(chat.create(**ask("named"), response_format={"type": "json_object"})).content),
    "reasoning": reasoning,
    "reasoning, streamed": lambda: stream_of(**ask("think", "test/think")),
    "picture": picture,
    "a Text worker's calls": lambda: calls_of(first(chat.create(**ask("ttool", "test/text"))).tool_calls),
    "completions": lambda: client.completions.create(model="test/tok", prompt="Please script:default").choices[0].text,
    "response": lambda: client.responses.create(**respond("default")).output_text,
    "response by the stream helper": response_stream,
    "response, parsed": lambda: client.responses.parse(**respond("named"), text_format=Place).output_parsed.model_dump(),
    "response with a tool": response_tool,
    "the sentence of a 404": lambda: sentence(lambda: chat.create(**ask("default", "nobody"))),
    "the sentence of a 400": lambda: sentence(lambda: chat.create(**ask("default"), temperature=3)),
    "the sentence of a worker's 400": lambda: sentence(lambda: chat.create(**ask("valueerr"))),
    "an error inside a stream": error_in_stream,
    "annotations in a stream": annotated,
    "the request's id": request_id,
}

for name, feature in features.items():
    try:
        seen = feature()
    except Exception as error:  # what was seen
        seen = {"failed": repr(error)}
    print(json.dumps({"feature": name, "seen": seen}), flush=True)
