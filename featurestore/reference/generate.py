"""Raw order files such as the online shop exports: any number of rows, one CSV a trading day, with the real files' kinds of dirt."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from featurestore.core.errors import InvalidInputError, StoreError
from featurestore.reference.assortment import Assortment, make_assortment

COLUMNS = ("InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country")
"""The header of every file."""

FIRST_DAY = date(2010, 12, 1)
LAST_DAY = date(2011, 12, 9)
CLOSED = (
    *(date(2010, 12, 24) + timedelta(days=n) for n in range(11)),
    *(date(2011, 4, 22) + timedelta(days=n) for n in (0, 2, 3, 7)),
    date(2011, 5, 2),
    date(2011, 5, 30),
    date(2011, 8, 29),
)
"""Days without trade, besides every Saturday."""

MONTH_WEIGHT = (0.9, 0.95, 1.0, 0.9, 1.0, 1.0, 1.0, 0.95, 1.35, 1.6, 2.1, 1.9)
"""How busy a trading day is, by month from January: gifts sell in autumn."""

OUT_OF_ROWS = 541_909
DUPLICATES, CANCELLATIONS, BAD_DEBTS, ADJUSTMENTS, GIVEAWAYS, LOWER_CASE, EXTREMES = 5_268, 9_286, 3, 1_336, 1_174, 1_977, 1
"""How many rows of each kind of dirt there are among OUT_OF_ROWS rows of the real files. An extreme is a pair of rows."""
ADJUSTMENTS_WITHOUT_TEXT, GIVEAWAYS_WITHOUT_TEXT = 862 / 1_336, 592 / 1_174
EVERY_KIND_FROM = 1_000
"""From this many rows on each kind of dirt occurs at least once."""

EXTREME_QUANTITY = 80_995
BAD_DEBT_PRICE = 11_062.06
REGISTERED_LINES, GUEST_LINES, GUEST_SHARE = 18.0, 36.0, 0.142
"""Mean lines of an invoice with a customer and of one without, and the share of those without: a quarter of all lines."""
ROWS_A_CUSTOMER = 110
CUSTOMERS_A_MOVER = 540
"""One customer in so many changes the country at half time of its stay."""
FIRST_INVOICE, FIRST_CUSTOMER = 536_365, 12_346

QUANTITIES = np.array([1, 2, 3, 4, 5, 6, 8, 10, 12, 24, 25, 36, 48, 72, 96, 144])
QUANTITY_ODDS = np.array([27, 15, 7, 7, 2, 7.5, 2.5, 4, 11, 4.5, 2.5, 0.8, 1.2, 0.3, 0.3, 0.2])
COUNTRIES = np.array(
    ["United Kingdom", "Germany", "France", "EIRE", "Spain", "Netherlands", "Belgium", "Switzerland", "Norway", "Japan"]
)
COUNTRY_ODDS = np.array([90.0, 2.2, 2.0, 0.6, 1.0, 0.6, 0.9, 0.7, 0.4, 0.4])
NOTES = np.array(["broken", "stock check", "wet", "lost", "found", "thrown away", "for the shop window"])
"""What clerks write instead of a product's description when stock moves."""

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class _Lines:
    """Rows in the making, as columns. `group` is the invoice a row belongs to, `kind` the letter before its number ("" for a sale).

    `text` is a description of the assortment, or -1 - note for a clerk's note, or NO_TEXT for none; `customer` is -1 for a guest;
    `pence` is the price in hundredths of a pound; `country` is a place in COUNTRIES; `minute` counts from FIRST_DAY.
    """

    group: Ints
    minute: Ints
    kind: Ints
    product: Ints
    text: Ints
    quantity: Ints
    pence: Ints
    customer: Ints
    country: Ints
    lower: Bools

    def take(self, rows: Ints) -> _Lines:
        return _Lines(**{name: column[rows] for name, column in vars(self).items()})

    def changed(self, **columns: Ints | Bools) -> _Lines:
        return _Lines(**{**vars(self), **columns})


SALE, CANCELLATION, BAD_DEBT = 0, 1, 2
LETTERS = np.array(["", "C", "A"])
NO_TEXT = -1_000


def generate_raw(folder: Path, rows: int, seed: int) -> int:
    """Write exactly `rows` order lines as `YYYY-MM-DD.csv` files; the same arguments give the same bytes. Returns the number of files.

    Raises:
        InvalidInputError: fewer rows than 1, or the folder already holds CSV files.
        StoreError: the folder or a file cannot be written.
    """
    if rows < 1:
        raise InvalidInputError(f"cannot generate {rows} rows", "ask for at least 1")
    if folder.is_dir() and any(folder.glob("*.csv")):
        raise InvalidInputError(f"{folder} already holds CSV files", "name a folder without any")
    days = trading_days()
    table = raw_table(rows, seed)
    starts = np.searchsorted(table["day"].to_numpy(), np.arange(len(days) + 1))
    text = table.drop("day")
    files = 0
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for place, day in enumerate(days):  # a loop over files, not rows
            start, end = int(starts[place]), int(starts[place + 1])
            if end > start:
                text.slice(start, end - start).write_csv(folder / f"{day:%Y-%m-%d}.csv", float_precision=None)
                files += 1
    except OSError as error:
        raise StoreError(
            f"cannot write into {folder}: {error.strerror or error}", "free space or rights there, then run again"
        ) from error
    return files


def trading_days() -> list[date]:
    """The days on which the shop writes invoices, in order."""
    every = (FIRST_DAY + timedelta(days=n) for n in range((LAST_DAY - FIRST_DAY).days + 1))
    return [day for day in every if day.weekday() != 5 and day not in CLOSED]


def raw_table(rows: int, seed: int) -> pl.DataFrame:
    """The rows of all files in order: COLUMNS, and `day`, the row's place in `trading_days()`."""
    rng = np.random.Generator(np.random.PCG64(seed))
    goods = make_assortment(rng, products=int(np.clip(rows // 130, 60, 4_000)))
    days = trading_days()

    def share(count: int) -> int:
        return max(round(rows * count / OUT_OF_ROWS), int(rows >= EVERY_KIND_FROM))

    duplicates, cancellations, extremes = share(DUPLICATES), share(CANCELLATIONS), share(EXTREMES)
    bad_debts, adjustments, giveaways = share(BAD_DEBTS), share(ADJUSTMENTS), share(GIVEAWAYS)
    ordinary = rows - duplicates - cancellations - 2 * extremes - bad_debts - adjustments - giveaways

    sales = _sales(rng, goods, days, ordinary, max(rows // ROWS_A_CUSTOMER, 3))
    sales = _lower_case(rng, goods, sales, share(LOWER_CASE))
    pieces = [
        sales,
        sales.take(np.sort(rng.choice(ordinary, duplicates, replace=False))),
        _cancellations(rng, days, sales, cancellations),
        *_extremes(rng, sales, extremes),
        _bad_debts(rng, goods, days, bad_debts),
        _notes(rng, goods, days, adjustments, sign=-1, without_text=ADJUSTMENTS_WITHOUT_TEXT),
        _notes(rng, goods, days, giveaways, sign=1, without_text=GIVEAWAYS_WITHOUT_TEXT),
    ]
    return _render(goods, days, pieces)


def _minutes(rng: np.random.Generator, days: list[date], day: Ints) -> Ints:
    """A minute of each given trading day, between 6:00 and 20:59, mostly around one o'clock. It is never in a clock change's hours."""
    ordinals = np.array([(d - FIRST_DAY).days for d in days])
    of_day = np.clip(rng.normal(13 * 60 + 10, 145, len(day)), 6 * 60, 21 * 60 - 1).astype(np.int64)
    return ordinals[day] * 1440 + of_day


def _some_days(rng: np.random.Generator, days: list[date], count: int) -> Ints:
    return rng.integers(0, len(days), count)


def _sales(rng: np.random.Generator, goods: Assortment, days: list[date], count: int, customers: int) -> _Lines:
    """`count` lines of ordinary invoices, in a random order of invoices; no product stands twice in one invoice.

    Customers differ: in how often they buy (log-normal), when they first come, how long they stay (exponential), and what they
    spend. So a customer's past tells of the future, as it does in a real shop.
    """
    busy = np.cumsum([MONTH_WEIGHT[d.month - 1] * (0.65 if d.weekday() == 6 else 1.0) for d in days])
    busy = np.concatenate([[0.0], busy / busy[-1]])
    comes = np.where(rng.random(customers) < 0.3, 0.0, rng.random(customers) * 0.95)
    stays = np.minimum(comes + rng.exponential(0.6, customers) + 0.01, 1.0)
    weight = rng.lognormal(0.0, 1.1, customers) * (stays - comes)
    home = rng.choice(len(COUNTRIES), customers, p=COUNTRY_ODDS / COUNTRY_ODDS.sum())
    bulk = rng.beta(1.2, 5.0, customers)

    most = max(goods.products // 3, 1)
    invoices = max(count // 12, 8)
    while True:  # a round or two: lines that repeat a product of their invoice fall away, so more are drawn than needed
        guest = rng.random(invoices) < GUEST_SHARE
        sizes = np.clip(np.ceil(rng.gamma(0.9, np.where(guest, GUEST_LINES, REGISTERED_LINES) / 0.9)), 1, most).astype(np.int64)
        group = np.repeat(np.arange(invoices), sizes)
        pairs = np.unique(group * goods.products + goods.pick(rng, len(group)))
        if len(pairs) >= count:
            break
        invoices *= 2
    group, product = pairs[:count] // goods.products, pairs[:count] % goods.products

    buyer = np.where(guest, -1, rng.choice(customers, invoices, p=weight / weight.sum()))
    place = rng.random(invoices)
    moment = np.where(guest, place, comes[buyer] + place * (stays - comes)[buyer])
    day = np.clip(np.searchsorted(busy, moment, side="right") - 1, 0, len(days) - 1)
    minute = _minutes(rng, days, day)
    written = ~guest & (np.arange(invoices) <= group[-1])
    returned = np.intersect1d(buyer[written & (place > 0.5)], buyer[written & (place <= 0.5)])
    movers = rng.choice(returned, min(max(round(customers / CUSTOMERS_A_MOVER), 1), len(returned)), replace=False)
    moved = np.isin(buyer, movers) & (place > 0.5)
    country = np.where(guest, 0, (home[buyer] + moved) % len(COUNTRIES))

    in_bulk = rng.random(count) < np.where(guest, 0.1, bulk[buyer])[group]
    quantity = rng.choice(QUANTITIES, count, p=QUANTITY_ODDS / QUANTITY_ODDS.sum()) * np.where(in_bulk, 12, 1)
    pence = np.maximum(np.where(in_bulk, goods.pence[product] * 85 // 100, goods.pence[product]), 1)
    return _Lines(
        group=group,
        minute=minute[group],
        kind=np.full(count, SALE),
        product=product,
        text=goods.text_on(product, day[group] / len(days)),
        quantity=quantity,
        pence=pence,
        customer=buyer[group],
        country=country[group],
        lower=np.zeros(count, dtype=np.bool_),
    )


def _lower_case(rng: np.random.Generator, goods: Assortment, sales: _Lines, count: int) -> _Lines:
    """The same lines with `count` of the stock codes that have letters written in lower case."""
    lettered = np.flatnonzero(goods.has_letter[sales.product])
    lower = sales.lower.copy()
    lower[rng.choice(lettered, min(count, len(lettered)), replace=False)] = True
    return sales.changed(lower=lower)


def _cancellations(rng: np.random.Generator, days: list[date], sales: _Lines, count: int) -> _Lines:
    """`count` sold lines come back, up to six weeks later; those of one invoice on one cancellation."""
    back = sales.take(np.sort(rng.choice(len(sales.group), count, replace=False)))
    invoices, of_invoice = np.unique(back.group, return_inverse=True)
    ordinals = np.array([(d - FIRST_DAY).days for d in days])
    sold = back.minute[np.searchsorted(back.group, invoices)] // 1440
    day = np.searchsorted(ordinals, np.minimum(sold + 1 + rng.integers(0, 42, len(invoices)), ordinals[-1]))
    return back.changed(
        group=of_invoice,
        minute=_minutes(rng, days, day)[of_invoice],
        kind=np.full(count, CANCELLATION),
        quantity=-np.maximum((back.quantity * rng.random(count)).astype(np.int64), 1),
    )


def _extremes(rng: np.random.Generator, sales: _Lines, count: int) -> tuple[_Lines, _Lines]:
    """`count` orders with a slip of the finger, each cancelled twelve minutes later."""
    known = np.flatnonzero(sales.customer >= 0)
    slips = sales.take(rng.choice(known if len(known) else np.arange(len(sales.group)), count)).changed(
        group=np.arange(count), quantity=np.full(count, EXTREME_QUANTITY), lower=np.zeros(count, dtype=np.bool_)
    )
    undone = slips.changed(minute=slips.minute + 12, kind=np.full(count, CANCELLATION), quantity=-slips.quantity)
    return slips, undone


def _bad_debts(rng: np.random.Generator, goods: Assortment, days: list[date], count: int) -> _Lines:
    """Accounting entries: a price below zero, no customer, the letter A."""
    return _single(
        rng, days, count, BAD_DEBT, np.full(count, goods.bad_debt), np.full(count, goods.bad_debt_text),
        np.ones(count, dtype=np.int64), np.full(count, -round(BAD_DEBT_PRICE * 100)),
    )  # fmt: skip


def _notes(rng: np.random.Generator, goods: Assortment, days: list[date], count: int, *, sign: int, without_text: float) -> _Lines:
    """Stock movements written as sales: price 0, no customer, and a clerk's note or nothing for a description."""
    silent = np.arange(count) < round(count * without_text)
    text = np.where(silent, NO_TEXT, -1 - rng.integers(0, len(NOTES), count))
    quantity = sign * rng.integers(1, 200, count)
    product = goods.renamed[rng.integers(0, len(goods.renamed), count)]  # the same few products over and over
    return _single(rng, days, count, SALE, product, text, quantity, np.zeros(count, dtype=np.int64))


def _single(
    rng: np.random.Generator, days: list[date], count: int, kind: int, product: Ints, text: Ints, quantity: Ints, pence: Ints
) -> _Lines:
    """`count` lines without a customer, each an invoice of its own."""
    return _Lines(
        group=np.arange(count),
        minute=_minutes(rng, days, _some_days(rng, days, count)),
        kind=np.full(count, kind),
        product=product,
        text=text,
        quantity=quantity,
        pence=pence,
        customer=np.full(count, -1),
        country=np.zeros(count, dtype=np.int64),
        lower=np.zeros(count, dtype=np.bool_),
    )


def _render(goods: Assortment, days: list[date], pieces: list[_Lines]) -> pl.DataFrame:
    """All rows in the order of their invoices, which are numbered as they are written."""
    piece = np.repeat(np.arange(len(pieces)), [len(p.group) for p in pieces])
    piece[piece == 1] = 0  # the duplicates stand in the invoices of the lines they repeat
    joined = _Lines(**{name: np.concatenate([vars(p)[name] for p in pieces]) for name in vars(pieces[0])})
    order = np.lexsort((joined.product, joined.group, piece, joined.minute))
    lines, piece = joined.take(order), piece[order]
    new = np.ones(len(order), dtype=np.bool_)
    new[1:] = (np.diff(lines.group) != 0) | (np.diff(piece) != 0)
    number = FIRST_INVOICE + np.cumsum(new) - 1

    ordinals = np.array([(d - FIRST_DAY).days for d in days])
    codes = pl.Series(goods.codes).gather(lines.product)
    noted = pl.Series([*goods.texts, *NOTES.tolist()])
    text = np.where(lines.text >= 0, lines.text, len(goods.texts) - 1 - lines.text)
    frame = pl.DataFrame(
        {
            "kind": pl.Series(LETTERS.tolist()).gather(lines.kind),
            "number": number,
            "StockCode": codes,
            "lower": lines.lower,
            "Description": noted.gather(np.where(lines.text == NO_TEXT, 0, text)),
            "silent": lines.text == NO_TEXT,
            "Quantity": lines.quantity,
            "minute": lines.minute,
            "UnitPrice": lines.pence / 100,
            "customer": lines.customer,
            "Country": pl.Series(COUNTRIES.tolist()).gather(lines.country),
            "day": np.searchsorted(ordinals, lines.minute // 1440),
        }
    )
    return frame.select(
        pl.format("{}{}", "kind", "number").alias("InvoiceNo"),
        pl.when("lower").then(pl.col("StockCode").str.to_lowercase()).otherwise("StockCode").alias("StockCode"),
        pl.when(~pl.col("silent")).then("Description").alias("Description"),
        "Quantity",
        (pl.lit(FIRST_DAY).cast(pl.Datetime("us")) + pl.duration(minutes="minute"))
        .dt.strftime("%Y-%m-%d %H:%M:%S")
        .alias("InvoiceDate"),
        "UnitPrice",
        pl.when(pl.col("customer") >= 0).then((pl.col("customer") + FIRST_CUSTOMER).cast(pl.Float64)).alias("CustomerID"),
        "Country",
        "day",
    )
