"""What the imaginary shop sells: stock codes, their descriptions with the usual disorder, prices and how well each sells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

COLOURS = ("RED", "BLUE", "IVORY", "PINK", "GREEN", "BLACK", "SILVER", "CREAM", "LILAC", "TURQUOISE", "GOLD", "YELLOW")
STYLES = ("VINTAGE", "RETRO", "RUSTIC", "STRIPED", "SPOTTED", "ENAMEL", "WOODEN", "KNITTED", "PAPER", "GLASS", "TIN", "CERAMIC")
THINGS = (
    "TEAPOT", "CANDLE HOLDER", "LUNCH BAG", "CAKE STAND", "PICTURE FRAME", "DOORSTOP", "BUNTING", "MUG", "WALL CLOCK", "HOT WATER BOTTLE",
    "JAM JAR", "GIFT WRAP", "NOTEBOOK", "TRINKET BOX", "COAT HANGER", "WATERING CAN", "APRON", "COOKIE CUTTER", "LANTERN", "BREAD BIN",
)  # fmt: skip
PATTERNS = (
    "{colour} {style} {thing}",
    "{thing}, {style} {colour}",
    'SIGN "{thing}" {colour}',
    "SET OF 6 {style}  {thing} {colour}",
)
"""Some hold a comma, quotes or two spaces together, as the real descriptions do."""

PADDED_SHARE = 0.209
"""Share of the order lines whose description has white space around it."""
RENAMED_SHARE = 0.164
"""Share of the products that change their description at some time."""
LETTER_SHARE = 0.11
"""Share of the products whose code ends with a letter."""
CHARGES = (
    ("POST", "POSTAGE", 1_800),
    ("M", "Manual", 2_500),
    ("DOT", "DOTCOM POSTAGE", 9_500),
    ("BANK CHARGES", "Bank Charges", 1_500),
)
"""Codes that stand for services: code, description, price in pence."""

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Assortment:
    """Products by number: first the goods, then the charges, then one code for bad debts that is never sold.

    `odds` are cumulative, over the `products` that can be sold. `first_text` and `second_text` are places in `texts`; a product
    takes the second from `renamed_at` on, a fraction of the whole period.
    """

    codes: list[str]
    texts: list[str]
    pence: Ints
    odds: NDArray[np.float64]
    first_text: Ints
    second_text: Ints
    renamed_at: NDArray[np.float64]
    has_letter: NDArray[np.bool_]

    @property
    def products(self) -> int:
        """How many can be sold."""
        return len(self.odds)

    @property
    def renamed(self) -> Ints:
        """The products that change their description at some time; at least one."""
        return np.flatnonzero(self.renamed_at < 1.0)

    @property
    def bad_debt(self) -> int:
        """The code for accounting entries."""
        return len(self.codes) - 1

    @property
    def bad_debt_text(self) -> int:
        """Its description."""
        return len(self.texts) - 1

    def pick(self, rng: np.random.Generator, count: int) -> Ints:
        """`count` products, the popular ones more often."""
        return np.minimum(np.searchsorted(self.odds, rng.random(count), side="right"), self.products - 1)

    def text_on(self, product: Ints, moment: NDArray[np.float64]) -> Ints:
        """The descriptions of products at moments, fractions of the whole period."""
        return np.where(moment >= self.renamed_at[product], self.second_text[product], self.first_text[product])


def make_assortment(rng: np.random.Generator, products: int) -> Assortment:
    """`products` goods and the charges, drawn from `rng`."""
    sold = products + len(CHARGES)
    popularity = 1.0 / np.arange(6, products + 6) ** 0.8
    odds = np.concatenate([rng.permutation(popularity), np.full(len(CHARGES), popularity.sum() * 0.0012)])
    odds /= odds.sum()

    lettered = rng.random(products) < LETTER_SHARE
    numbers = 20_000 + rng.choice(70_000, products, replace=False)
    letters = rng.choice(list("ABCDEFGS"), products)
    codes = [f"{number}{letter if has else ''}" for number, letter, has in zip(numbers, letters, lettered, strict=True)]

    names = [_name(*draw) for draw in rng.integers(0, 1 << 30, (products, 4)).tolist()]
    padding = rng.permutation(products)
    padded = np.zeros(products, dtype=np.bool_)
    padded[padding[np.cumsum(odds[padding]) <= PADDED_SHARE]] = True
    left = rng.random(products) < 0.05
    first = [_pad(name, at_left) if pad else name for name, pad, at_left in zip(names, padded, left, strict=True)]
    renamed = rng.permutation(products)[: round(products * RENAMED_SHARE)]
    second = [first[product].replace(names[product], f"{names[product]} NEW") for product in renamed.tolist()]

    second_text = np.arange(sold)
    second_text[renamed] = sold + np.arange(len(renamed))
    renamed_at = np.full(sold, 2.0)
    renamed_at[renamed] = rng.uniform(0.2, 0.8, len(renamed))
    pence = np.clip(rng.lognormal(5.35, 0.8, products), 12, 60_000).astype(np.int64)
    return Assortment(
        codes=[*codes, *(code for code, _, _ in CHARGES), "B"],
        texts=[*first, *(text for _, text, _ in CHARGES), *second, "Adjust bad debt"],
        pence=np.concatenate([pence, [price for _, _, price in CHARGES], [0]]),
        odds=np.cumsum(odds),
        first_text=np.arange(sold),
        second_text=second_text,
        renamed_at=renamed_at,
        has_letter=np.concatenate([lettered, np.zeros(len(CHARGES), dtype=np.bool_)]),
    )


def _name(pattern: int, colour: int, style: int, thing: int) -> str:
    parts = {"colour": COLOURS[colour % len(COLOURS)], "style": STYLES[style % len(STYLES)], "thing": THINGS[thing % len(THINGS)]}
    return PATTERNS[pattern % len(PATTERNS)].format(**parts)


def _pad(name: str, at_left: bool) -> str:
    return f"  {name}" if at_left else f"{name} "
