"""Answers to questions in other words and other languages."""

import qkv

faq = qkv.Database(
    {
        "How do I reset my password?": "Click 'forgot password' below the login form.",
        "Where is my order?": "Open 'my orders'; the parcel's number is there.",
        "Can I return an item?": "Within 30 days, unworn, with the receipt.",
        "Do you deliver abroad?": "To all of Europe, in about a week.",
    }
)

for question in [
    "I forgot my login secret",
    "when will my package arrive",
    "¿Puedo devolver un artículo?",
    "Liefern Sie auch nach Österreich?",
]:
    answer = faq.attend(question)
    print(f"{question}\n  {answer.value}  (weight {answer.weights[0].weight:.0%})")

print()
print(faq.attend("when will my package arrive").explain())
