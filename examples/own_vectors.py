"""Vectors of your own as keys: colours, no text and no model."""

import numpy as np

import qkv

colours = {
    "red": (255, 0, 0),
    "orange": (255, 165, 0),
    "yellow": (255, 255, 0),
    "green": (0, 128, 0),
    "blue": (0, 0, 255),
    "black": (0, 0, 0),
    "white": (255, 255, 255),
}

# Euclidean distance means something here: colours are points, not directions.
db = qkv.Database(encoder=None, lexicon=None, metric="euclidean", temperature=2000.0)
db.update({name: name for name in colours}, vectors=list(colours.values()))

for rgb in [(200, 30, 20), (250, 210, 0), (20, 20, 60)]:
    answer = db.attend(np.array(rgb, dtype=np.float32))
    print(rgb, [(c.value, round(c.probability, 2)) for c in answer.candidates[:2]])
