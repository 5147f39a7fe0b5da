"""A rule given by examples, applied to words that are no example."""

import qkv

past = qkv.Database(
    {
        "walking": "walked",
        "going": "went",
        "seeing": "saw",
        "saying": "said",
        "taking": "took",
        "running": "ran",
        "writing": "wrote",
        "playing": "played",
    },
    head="relation",
)

for word in ["knowing", "falling", "flying", "dancing"]:
    answer = past.attend(word)
    print(f"{word} → {answer.value} ({answer.origin})")
