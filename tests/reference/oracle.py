"""The reference project's tables written out slowly from their definitions, in plain Python over the csv module's rows."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from struct import pack, unpack
from typing import Any
from zoneinfo import ZoneInfo

Row = dict[str, Any]

LONDON = ZoneInfo("Europe/London")


def raw_rows(folder: Path) -> Iterator[tuple[str, Row]]:
    """(file name, row) of every CSV file in order."""
    for path in sorted(folder.glob("*.csv")):
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                yield path.name, row


def order_lines(raw: Iterable[tuple[str, Row]]) -> tuple[list[Row], Counter[str]]:
    """The accepted lines, and how many rows met which fate: "accepted", "deduplicated", "dropped <rule>", "quarantined"."""
    fates: Counter[str] = Counter()
    seen: set[tuple[str, ...]] = set()
    places: Counter[tuple[str, str]] = Counter()
    lines: list[Row] = []
    for file, row in raw:
        identity = tuple(row.values())
        if identity in seen:
            fates["deduplicated"] += 1
            continue
        seen.add(identity)
        invoice = row["InvoiceNo"].strip()
        places[file, invoice] += 1
        quantity, price = int(row["Quantity"]), float(row["UnitPrice"])
        description = " ".join(row["Description"].split())
        if invoice.startswith("A"):
            fates["dropped bad_debt_adjustment"] += 1
        elif quantity <= 0 and not invoice.startswith("C"):
            fates["dropped stock_adjustment"] += 1
        elif price <= 0 or abs(quantity) > 10_000 or not description:
            fates["quarantined"] += 1
        else:
            fates["accepted"] += 1
            lines.append(
                {
                    "invoice_no": invoice,
                    "line": places[file, invoice],
                    "stock_code": row["StockCode"].strip().upper(),
                    "description": description,
                    "quantity": quantity,
                    "invoiced_at": datetime.fromisoformat(row["InvoiceDate"]).replace(tzinfo=LONDON).astimezone(UTC),
                    "unit_price": price,
                    "customer_id": int(row["CustomerID"].removesuffix(".0")) if row["CustomerID"] else None,
                    "country": row["Country"].strip(),
                    "is_cancellation": invoice.startswith("C"),
                }
            )
    return lines, fates


def customer_days(lines: Iterable[Row]) -> dict[tuple[int, datetime], Row]:
    """The rows of customer_days by key."""
    days = _by_day((line for line in lines if line["customer_id"] is not None), "customer_id")
    table: dict[tuple[int, datetime], Row] = {}
    for customer, of_customer in days.items():
        spent, orders, lines_so_far, cancelled = Decimal(), 0, 0, 0
        ends = sorted(of_customer)
        for place, end in enumerate(ends):
            today = of_customer[end]
            bought = [line for line in today if not line["is_cancellation"]]
            spent += sum(map(_amount, today), Decimal())
            orders += len({line["invoice_no"] for line in bought})
            lines_so_far += len(today)
            cancelled += len(today) - len(bought)
            spent_on: dict[str, Decimal] = defaultdict(Decimal)
            for line in today:
                spent_on[line["stock_code"]] += _amount(line)
            latest = max(today, key=_moment)
            table[customer, end] = {
                "customer_id": customer,
                "day_end": end,
                "day_orders": len({line["invoice_no"] for line in bought}),
                "day_cancellations": len({line["invoice_no"] for line in today if line["is_cancellation"]}),
                "day_lines": len(today),
                "day_pieces": sum(line["quantity"] for line in today),
                "day_spend": float(sum(map(_amount, today), Decimal())),
                "day_mean_price": float(sum(map(_price, bought), Decimal())) / len(bought) if bought else None,
                "orders_total": orders,
                "lines_total": lines_so_far,
                "spend_total": float(spent),
                "mean_basket": _single(float(spent) / orders) if orders else None,
                "cancelled_share": _single(cancelled / lines_so_far),
                "active_days": place + 1,
                "days_since_first": (end - ends[0]).days,
                "days_since_previous": (end - ends[place - 1]).days if place else None,
                "is_returning": place > 0,
                "country": latest["country"],
                "last_invoice_at": latest["invoiced_at"],
                "top_codes": sorted(spent_on, key=lambda code: (-spent_on[code], code))[:5],
            }
    return table


def product_days(lines: Iterable[Row]) -> dict[tuple[str, datetime], Row]:
    """The rows of product_days by key."""
    table: dict[tuple[str, datetime], Row] = {}
    for code, of_code in _by_day(lines, "stock_code").items():
        taken, sold_so_far = Decimal(), 0
        ends = sorted(of_code)
        for end in ends:
            today = of_code[end]
            sold = [line for line in today if not line["is_cancellation"]]
            pieces = sum(line["quantity"] for line in sold)
            taken += sum(map(_amount, today), Decimal())
            sold_so_far += pieces
            latest = max(today, key=_moment)
            table[code, end] = {
                "stock_code": code,
                "day_end": end,
                "product_name": latest["description"],
                "sold_lines": len(sold),
                "sold_pieces": pieces,
                "returned_pieces": -sum(line["quantity"] for line in today if line["is_cancellation"]),
                "revenue": float(sum(map(_amount, today), Decimal())),
                "mean_price": float(sum(map(_amount, sold), Decimal())) / pieces if pieces else None,
                "last_price": latest["unit_price"],
                "buyers": len({line["customer_id"] for line in sold} - {None}),
                "revenue_total": float(taken),
                "sold_pieces_total": sold_so_far,
                "days_on_sale": (end - ends[0]).days,
            }
    return table


def _by_day(lines: Iterable[Row], key: str) -> dict[Any, dict[datetime, list[Row]]]:
    days: dict[Any, dict[datetime, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for line in lines:
        days[line[key]][_day_end(line)].append(line)
    return days


def _day_end(line: Row) -> datetime:
    at: datetime = line["invoiced_at"]
    return at.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)


def _moment(line: Row) -> tuple[datetime, str, int]:
    return line["invoiced_at"], line["invoice_no"], line["line"]


def _price(line: Row) -> Decimal:
    return round(Decimal(repr(line["unit_price"])), 3)


def _amount(line: Row) -> Decimal:
    return _price(line) * int(line["quantity"])


def _single(number: float) -> float:
    """Rounded to single precision."""
    single: float = unpack("<f", pack("<f", number))[0]
    return single
