"""Account texts as the records make them, of realistic and skewed lengths, the same every time."""

import random

_DISHES = (
    "Margherita Pizza|Chicken Tikka Masala|Pad Thai|Cheeseburger|Caesar Salad|Spaghetti Carbonara|"
    "Sushi Platter (12 pcs)|Falafel Wrap|Tom Yum Soup|Lamb Kebab|Jalapeño Poppers|Tiramisù|"
    "Garlic Naan|Miso Ramen|Crispy Duck Pancakes|Prawn Dumplings|Iced Latte 0.4 l|Fish & Chips|"
    "Paneer Butter Masala|Greek Salad|Quattro Formaggi|Green Curry|Chocolate Brownie|BBQ Ribs"
).split("|")
_SIZES = (
    "",
    "",
    "",
    " (small)",
    " (large)",
    " no. 7",
    " with extra cheese",
    " x2",
    ", gluten-free",
)
_VENDORS = (
    "Trattoria da Luigi|Golden Dragon|Bombay Palace|Sakura House|The Burger Joint|Green Leaf|"
    "La Taquería|Istanbul Grill|Café Paris|Ocean Basket"
).split("|")
_CUISINES = "Italian|Chinese|Indian|Japanese|American|Mexican|Thai|Turkish|French|Greek".split("|")

QUERIES = tuple(f"{dish.lower()} near me" for dish in _DISHES)
"""Short texts, asked one at a time."""


def account_texts(count: int, seed: int) -> list[str]:
    """`count` texts with a median of about 45 tokens, a tenth above 130, a few beyond 254.

    Orders per account follow a log-normal distribution.
    """
    chance = random.Random(seed)
    return [_account_text(chance) for _ in range(count)]


def _account_text(chance: random.Random) -> str:
    orders = max(1, min(90, int(chance.lognormvariate(1.6, 0.9))))
    items = [chance.choice(_DISHES) + chance.choice(_SIZES) for _ in range(orders)]
    places = min(len(_VENDORS), 1 + orders // 4)
    return (
        f"Items: {', '.join(dict.fromkeys(items))}. "
        f"Vendors: {', '.join(chance.sample(_VENDORS, places))}. "
        f"Cuisines: {', '.join(chance.sample(_CUISINES, places))}."
    )
