"""Texts of a small domain: dishes and what is in them."""

DISHES = ("pho", "ramen", "taco", "pizza", "curry", "salad", "paella", "sushi", "borscht", "mole")
PARTS = ("beef", "noodles", "rice", "lime", "cheese", "basil", "beet", "corn", "fish", "peas")


def pairs(count=48):
    """Pairs that share a dish and a number."""
    return [
        (f"how is {dish} number {n} made", f"{dish} {n}: boil {part} with {dish} broth, serve hot")
        for n in range(count)
        for dish, part in [(DISHES[n % 10], PARTS[n // 10 % 10])]
    ]


def passages(count=60):
    """Passages under headings, long enough to have two halves."""
    return [
        (
            ("Kitchen", DISHES[n % 10]),
            f"{DISHES[n % 10]} number {n} needs {PARTS[n // 10 % 10]} of the market. Cut it. "
            f"Then boil the {DISHES[n % 10]} for {n + 5} minutes. Serve it with {PARTS[n % 7]}.",
        )
        for n in range(count)
    ]
