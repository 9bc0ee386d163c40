"""The block hashes and the prefix tree of a release's bindings: JSON Lines in (a file), JSON Lines out, one for one.

  {"hash": {"tokens", "block_size", "block_mm_infos", …}}   → the hashes
  {"apply": [worker id, event]}                             → true
  {"find": [hashes]}                                        → [[worker id, rank, blocks], …]
  {"new": true}                                             → true: an empty tree from here on

u64 go out as decimal text.
"""

import json
import sys

import dynamo.llm

hash_blocks = getattr(dynamo.llm, "compute_block_hash_for_seq", None) or dynamo.llm.compute_block_hash_for_seq_py


def hashes(tokens, block_size, **rest):
    return [str(value) for value in hash_blocks(tokens, block_size, **rest)]


def run(tree, line):
    if "hash" in line:
        return hashes(**line["hash"])
    if "apply" in line:
        worker, event = line["apply"]
        tree.apply_event(worker, json.dumps(event).encode())
        return True
    return [[str(worker), rank, blocks] for (worker, rank), blocks in tree.find_matches(line["find"]).scores.items()]


tree = dynamo.llm.RadixTree()
with open(sys.argv[1]) as lines:
    for text in lines:
        line = json.loads(text)
        if "new" in line:
            tree = dynamo.llm.RadixTree()
            print("true")
        else:
            print(json.dumps(run(tree, line)))
