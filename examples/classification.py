"""Sentiment by the vote of the nearest reviews, and by all of them: one function."""

import qkv

reviews = qkv.Database(
    {
        "a wonderful film, moving from the first minute": "good",
        "brilliant acting and a clever story": "good",
        "I laughed until I cried": "good",
        "the best two hours of my year": "good",
        "a charming comedy with great music": "good",
        "dull, slow and far too long": "bad",
        "the plot makes no sense at all": "bad",
        "I left before the end": "bad",
        "a waste of money and of time": "bad",
        "awful dialogue and worse acting": "bad",
    },
    imagination=0,  # the labels are a closed list: recall only
)

ways = {
    "the nearest": {"top_k": 1},
    "vote of 3": {"top_k": 3, "temperature": float("inf")},
    "3, weighed": {"top_k": 3},
    "all, weighed": {},
    "all, alike": {"temperature": float("inf")},
}

for text in ["a marvellous movie", "boring and much too long", "Una película maravillosa"]:
    print(text)
    for name, settings in ways.items():
        answer = reviews.attend(text, **settings)
        shares = ", ".join(f"{c.value} {c.probability:.0%}" for c in answer.candidates)
        print(f"  {name:14} {shares}")
