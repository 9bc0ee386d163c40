"""The prefix tree of the real bindings under a load of bench/kv.ts.

  real-index.py EVENTS QUERIES

EVENTS: a line per event, worker id, tab, the event as JSON; an empty line before the first timed one.
QUERIES: u64 little-endian, 250 per query. Prints one line of JSON: seconds to apply, µs per query, µs of empty calls, answers.
"""

import json
import struct
import sys
import time

from dynamo.llm import RadixTree

BLOCKS = 250


def timed(tree, query):
    start = time.perf_counter_ns()
    found = tree.find_matches(query)
    return (time.perf_counter_ns() - start) / 1000, found


def answer(found):
    return " ".join(sorted(f"{worker}={blocks}" for (worker, _), blocks in found.scores.items()))


def main(events_path, queries_path):
    before, events = [], []
    into = before
    with open(events_path, "rb") as lines:
        for line in lines:
            if line == b"\n":
                into = events
                continue
            worker, event = line.rstrip(b"\n").split(b"\t", 1)
            into.append((int(worker), event))
    tree = RadixTree()
    for worker, event in before:
        tree.apply_event(worker, event)
    start = time.perf_counter()
    for worker, event in events:
        tree.apply_event(worker, event)
    apply_seconds = time.perf_counter() - start
    with open(queries_path, "rb") as file:
        queries = [list(query) for query in struct.iter_unpack(f"<{BLOCKS}Q", file.read())]
    answers = [answer(timed(tree, query)[1]) for query in queries]
    rounds = [[timed(tree, query)[0] for query in queries] for _ in range(3)]
    empty = [timed(tree, [])[0] for _ in queries]
    print(json.dumps({"apply_seconds": apply_seconds, "rounds": rounds, "empty": empty, "answers": answers}))


main(*sys.argv[1:])
