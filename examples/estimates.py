"""A number for something that was never measured, from similar cases, with its spread."""

import qkv

kcal = qkv.Database(
    {
        "apple, raw": 52,
        "pear, raw": 57,
        "strawberries, raw": 32,
        "cucumber, raw": 15,
        "lettuce": 15,
        "butter": 717,
        "olive oil": 884,
        "sunflower oil": 884,
        "white bread": 265,
        "rye bread": 259,
        "cheddar cheese": 403,
        "gouda cheese": 356,
    }
)

for food in ["raspberries", "rapeseed oil", "baguette", "emmental cheese"]:
    answer = kcal.attend(food)
    # The imagined candidate is the blend; the recalled ones are single stored numbers.
    mean = next(c for c in answer.candidates if c.spread is not None)
    like = " and ".join(mean.keys[:2])
    print(f"{food:16} {mean.value:5.0f} ± {mean.spread:4.0f} kcal   like {like}")
