"""What a worker makes of image files: u32 length and bytes of each on stdin, one JSON line each on stdout.

  {"refused": "…"}                          its loader raises: Image.open of three formats, no MPO, then convert("RGB")
  {"large": [width, height]}                not decoded: more pixels than asked for
  {"size": [width, height], "digest": hex}  BLAKE3 over the RGBA bytes, as engines of 1.0 and 1.2 hash them

argv: the most pixels to decode.
"""

import io
import json
import struct
import sys
import warnings

from blake3 import blake3
from PIL import Image

warnings.simplefilter("ignore")
pixels_max = int(sys.argv[1])


def answer(data):
    try:
        image = Image.open(io.BytesIO(data), formats=["JPEG", "PNG", "WEBP"])
        if image.format not in ("JPEG", "PNG", "WEBP"):
            return {"refused": f"format {image.format}"}
        if image.width * image.height > pixels_max:
            return {"large": list(image.size)}
        rgb = image.convert("RGB")
        return {"size": list(rgb.size), "digest": blake3(rgb.convert("RGBA").tobytes()).hexdigest()}
    except Exception as error:  # whatever a loader raises ends the request
        return {"refused": f"{type(error).__name__}: {error}"[:200]}


while head := sys.stdin.buffer.read(4):
    (length,) = struct.unpack(">I", head)
    print(json.dumps(answer(sys.stdin.buffer.read(length))), flush=True)
