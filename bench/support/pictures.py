"""Pictures for the bench of images, and what they cost a worker.

  make FOLDER     writes them: a gradient with grain, so that files are as large as photographs'
  cost FILE …     CPU ms each: Pillow decodes to RGB, copies to RGBA, BLAKE3 hashes; a JSON list
"""

import io
import json
import os
import sys
import time

import numpy
from blake3 import blake3
from PIL import Image

SIZES = {"256.jpg": (256, 256), "512.jpg": (512, 512), "1024.jpg": (1024, 1024), "1024.png": (1024, 1024), "4k.jpg": (3840, 2160)}


def make(folder):
    random = numpy.random.default_rng(7)
    for name, (width, height) in SIZES.items():
        ramp = numpy.linspace(0, 200, width)[None, :, None] * numpy.linspace(0.5, 1, height)[:, None, None]
        pixels = ramp * numpy.array([1.0, 0.8, 0.6]) + random.normal(20, 6, (height, width, 3))
        Image.fromarray(pixels.clip(0, 255).astype("uint8")).save(os.path.join(folder, name), quality=85)


def cost(path):
    with open(path, "rb") as file:
        data = file.read()
    runs = 0
    start = time.process_time()
    while (spent := time.process_time() - start) < 0.25 or runs == 0:
        blake3(Image.open(io.BytesIO(data)).convert("RGB").convert("RGBA").tobytes()).hexdigest()
        runs += 1
    return spent * 1000 / runs


if sys.argv[1] == "make":
    make(sys.argv[2])
else:
    print(json.dumps([cost(path) for path in sys.argv[2:]]))
