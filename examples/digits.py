"""Keys and queries of another kind than values: images are asked, words answer."""

import sys

import numpy as np

import qkv

try:
    from sklearn.datasets import load_digits
except ModuleNotFoundError:
    sys.exit("this example takes its images from scikit-learn: pip install scikit-learn")

WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]

# 1,797 scanned digits of 8 × 8 pixels. The mean image says nothing about which digit it is.
digits = load_digits()
stored = 1200
pixels = digits.data - digits.data[:stored].mean(axis=0)
words = [WORDS[target] for target in digits.target]
names = [f"digit {i}" for i in range(len(words))]

# ── images as vectors: no encoder, every record and every query brings its own ───────────────

db = qkv.Database(encoder=None, lexicon=None)
db.update(zip(names[:stored], words[:stored], strict=True), vectors=pixels[:stored])

answers = db.attend(pixels[stored:])
right = [a.value == word for a, word in zip(answers, words[stored:], strict=True)]
print(f"{np.mean(right):.1%} of {len(right)} held-out images read right")

hardest = min(range(len(answers)), key=lambda i: answers[i].candidates[0].probability)
shares = [f"{c.value} {c.probability:.0%}" for c in answers[hardest].candidates[:3]]
print(f"the least certain, {names[stored + hardest]} ({words[stored + hardest]}): {shares}")
print("looked at:", [f"{w.key} ({w.value})" for w in answers[hardest].weights[:3]])


# ── an encoder with two towers: keys are names of scans, queries are drawings ────────────────


class Drawings:
    """Reads a key as the scan of that name, and a query as eight lines of dots and hashes."""

    fingerprint = "digits-drawings-1"

    def encode(self, texts: list[str]) -> np.ndarray:
        return unit(pixels[[int(text.removeprefix("digit ")) for text in texts]])

    def encode_queries(self, texts: list[str]) -> np.ndarray:
        ink = [[16.0 * (c == "#") for c in text if c in ".#"] for text in texts]
        return unit(np.array(ink) - digits.data[:stored].mean(axis=0))


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


scans = qkv.Database(
    dict(zip(names[:stored], words[:stored], strict=True)), encoder=Drawings(), lexicon=None
)
for drawing in (
    """
    ..####..
    .##..##.
    ......#.
    ....##..
    .....##.
    ......#.
    .##..##.
    ..####..
    """,
    """
    ...##...
    ...##...
    ..###...
    ...##...
    ...##...
    ...##...
    ...##...
    ...##...
    """,
):
    print(drawing, scans.query(drawing, 2))
