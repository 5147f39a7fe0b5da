"""A few labelled lines, and a tag for any other: few-shot classification without training."""

import qkv

tags = qkv.Database(
    {
        "weekly groceries at the supermarket": "food",
        "lunch with colleagues": "food",
        "train ticket to Hamburg": "travel",
        "taxi from the airport": "travel",
        "electricity bill for March": "home",
        "new washing machine": "home",
        "cinema with the children": "leisure",
        "yearly gym membership": "leisure",
    },
    imagination=0,  # the tags are a closed list: recall only
)

for line in ["flight to Madrid", "pizza for dinner", "water and heating", "concert tickets"]:
    answer = tags.attend(line)
    shares = ", ".join(f"{c.value} {c.probability:.0%}" for c in answer.candidates[:3])
    print(f"{line:20} {shares}")
