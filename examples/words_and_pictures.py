"""Two kinds of things in one space: handwritten digits, and the words for them, both ways.

Pictures are 64 grey values; words are vectors of GloVe, 50 numbers. Neither knows the other. From
pairs the store learns a map of queries: a word finds pictures, and a picture finds its word.
"""

import numpy as np
from sklearn.datasets import load_digits

import qkv

WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]

digits = load_digits()
order = np.random.default_rng(0).permutation(len(digits.target))
pictures, names = digits.data[order], [WORDS[i] for i in digits.target[order]]
taught, held_out = range(1200), range(1200, len(order))

# Pictures are the keys: a word finds them. Of those it is asked for, it has learned from none.
album = qkv.Database(encoder="glove", lexicon=None)
album.update(((f"picture {i}", names[i]) for i in range(len(order))), vectors=pictures)
learned = album.learn([(names[i], f"picture {i}") for i in taught])
print(f"words → pictures: {'kept' if learned.kept else 'not kept'}, {learned.seconds:.0f} s")

held = {f"picture {i}" for i in held_out}
shares = []
for word in WORDS:
    found = [match for match in album.search(word, len(order)) if match.key in held][:10]
    shares.append(np.mean([match.value == word for match in found]))
    print(f"  {word:6} the ten nearest pictures that it never saw: {shares[-1]:.0%} right")
print(f"  all words: {np.mean(shares):.1%}")

# Words are the keys: a picture finds its word.
for keys in (False, True):
    reader = qkv.Database({word: word for word in WORDS}, encoder="glove", lexicon=None)
    learned = reader.learn([(pictures[i], names[i]) for i in taught], keys=keys)
    answers = reader.search([pictures[i] for i in held_out], 1)
    right = np.mean(
        [answer[0].key == names[i] for answer, i in zip(answers, held_out, strict=True)]
    )
    maps = "W_Q and W_K" if keys else "W_Q"
    print(f"pictures → words, {maps}: {right:.1%} of {len(held_out)} that it never saw")
