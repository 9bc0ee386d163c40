"""What tokenizing and rendering cost in Python: Hugging Face tokenizers (Rust) and jinja2, CPU time of one thread.

  stdin   {"folder", "texts": {KIND: [text, …]}, "conversation": [message, …]}
  stdout  {"encode": {KIND: {"us": µs of all texts, "ids": ids of all texts}}, "render_us": µs of one rendering}
"""

import json
import os
import sys
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"

from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer

RENDERINGS = 3000


def cpu_us(work):
    start = time.process_time()
    result = work()
    return (time.process_time() - start) * 1e6, result


def encode(tokenizer, texts):
    tokenizer.encode(texts[0], add_special_tokens=False)
    us, ids = cpu_us(lambda: [tokenizer.encode(text, add_special_tokens=False).ids for text in texts])
    return {"us": us, "ids": sum(map(len, ids))}


def render(folder, conversation):
    with open(os.path.join(folder, "tokenizer_config.json")) as file:
        source = json.load(file)["chat_template"]
    template = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True).from_string(source)
    us, _ = cpu_us(lambda: [template.render(messages=conversation, add_generation_prompt=True) for _ in range(RENDERINGS)])
    return us / RENDERINGS


job = json.load(sys.stdin)
tokenizer = Tokenizer.from_file(os.path.join(job["folder"], "tokenizer.json"))
encoded = {kind: encode(tokenizer, texts) for kind, texts in job["texts"].items()}
print(json.dumps({"encode": encoded, "render_us": render(job["folder"], job["conversation"])}))
