"""Pictures of a store: the similarity matrix, the map of its keys, the weights of an answer."""

import sys
from pathlib import Path

import qkv
from qkv import plots
from qkv.demo import CAPITALS, RECORDS, RESPONSES

SENTENCES = [
    "Where is the world cup?",
    "What color is the sky?",
    "Where does the bear live?",
    "What is an apple?",
    "The world cup is in Qatar.",
    "The sky is blue.",
    "The bear lives in the woods.",
    "An apple is a fruit.",
]

folder = Path(sys.argv[1] if len(sys.argv) > 1 else "pictures")
folder.mkdir(exist_ok=True)

sentences = qkv.Database(dict.fromkeys(SENTENCES, 0))
responses = qkv.Database(RESPONSES)
places = qkv.Database(
    {**dict.fromkeys(CAPITALS, "country"), **dict.fromkeys(CAPITALS.values(), "capital")}
)
words = qkv.Database(RECORDS)

for name, figure in {
    "heatmap.png": plots.heatmap(sentences.similarity()),
    "map.png": plots.key_map(responses, "Where is the world cup?", k=3),
    "places.png": plots.key_map(places, "a waltz in vienna", k=4),
    "weights.png": plots.weights(words.attend("seventy")),
}.items():
    print(plots.save(figure, folder / name, dpi=90))
