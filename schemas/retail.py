"""The contracts of the online retail project: what a raw order line may look like, and what each published table promises."""

from __future__ import annotations

from typing import Annotated

import pandera.polars as pa
import polars as pl


class RawOrderLine(pa.DataFrameModel):
    """One line of an order as the shop's daily CSV export writes it: all text, of any quality."""

    InvoiceNo: str = pa.Field(
        str_matches=r"^[AC]?[0-9]{6,9}$",
        description="Six digits or more; C before them is a cancellation, A an accounting adjustment.",
    )
    StockCode: str = pa.Field(description="The product, in either case of letters.")
    Description: str = pa.Field(nullable=True, description="The product in words, or a clerk's note on a stock movement.")
    Quantity: str = pa.Field(description="Pieces; negative when they come back or leave the stock unsold.")
    InvoiceDate: str = pa.Field(description="The shop's local time (Europe/London), YYYY-MM-DD HH:MM:SS.")
    UnitPrice: str = pa.Field(description="Pounds a piece.")
    CustomerID: str = pa.Field(nullable=True, description="The customer, written as a float (12346.0); empty for a guest.")
    Country: str = pa.Field(description="Where the customer lives.")

    class Config:
        strict = True
        description = "Order lines as the shop exports them"


class OrderLine(pa.DataFrameModel):
    """A line that was sold or cancelled, cleaned. Key: invoice_no and line."""

    invoice_no: str = pa.Field(str_matches=r"^C?[0-9]{6,9}$", description="The invoice; C first for a cancellation.")
    line: int = pa.Field(ge=1, description="The line's place within its invoice, from 1.")
    stock_code: str = pa.Field(str_length={"min_value": 1, "max_value": 20}, description="The product, in capitals.")
    description: str = pa.Field(str_length={"min_value": 1, "max_value": 100}, description="The product in words, trimmed.")
    quantity: int = pa.Field(
        in_range={"min_value": -10_000, "max_value": 10_000}, description="Pieces; negative in a cancellation."
    )
    invoiced_at: Annotated[pl.Datetime, "us", "UTC"] = pa.Field(description="When the invoice was written.")
    unit_price: float = pa.Field(gt=0.0, le=100_000.0, description="Pounds a piece.")
    customer_id: int = pa.Field(nullable=True, ge=1, description="The customer; null for a guest.")
    country: str = pa.Field(str_length={"min_value": 1, "max_value": 60}, description="Where the customer lives.")
    is_cancellation: bool = pa.Field(description="Whether the line takes back an earlier one.")

    class Config:
        strict = True
        description = "Order lines sold and cancelled, cleaned"


class CustomerDay(pa.DataFrameModel):
    """A customer's day with orders or cancellations, and the customer's history up to its end. Key: customer_id and day_end."""

    customer_id: int = pa.Field(ge=1, description="The customer.")
    day_end: Annotated[pl.Datetime, "us", "UTC"] = pa.Field(
        description="Midnight (UTC) after the day: from then on the row is known."
    )
    day_orders: int = pa.Field(ge=0, description="Invoices of the day, cancellations apart.")
    day_cancellations: int = pa.Field(ge=0, description="Cancellations of the day.")
    day_lines: int = pa.Field(ge=1, description="Order lines of the day, cancelled ones included.")
    day_pieces: int = pa.Field(description="Pieces bought less pieces brought back.")
    day_spend: float = pa.Field(description="Pounds spent less pounds returned.")
    day_mean_price: float = pa.Field(nullable=True, gt=0.0, description="Mean price of a line bought, pounds; null where none was.")
    orders_total: int = pa.Field(ge=0, description="Invoices so far, cancellations apart.")
    lines_total: pl.Int32 = pa.Field(ge=1, description="Order lines so far.")
    spend_total: float = pa.Field(description="Pounds spent so far, returns taken off.")
    mean_basket: pl.Float32 = pa.Field(nullable=True, description="spend_total per invoice, pounds; null before the first one.")
    cancelled_share: pl.Float32 = pa.Field(
        in_range={"min_value": 0.0, "max_value": 1.0}, description="Cancelled lines among all lines so far, 0 to 1."
    )
    active_days: pl.Int32 = pa.Field(ge=1, description="Days with orders or cancellations so far.")
    days_since_first: pl.Int32 = pa.Field(ge=0, description="Days between the first such day and this one.")
    days_since_previous: pl.Int32 = pa.Field(nullable=True, ge=1, description="Days since the one before; null on the first.")
    is_returning: bool = pa.Field(description="Whether the customer came on an earlier day too.")
    country: str = pa.Field(description="Where the customer lives, by the day's last invoice.")
    last_invoice_at: Annotated[pl.Datetime, "us", "UTC"] = pa.Field(description="When the day's last invoice was written.")
    top_codes: list[str] = pa.Field(description="Up to five products of the day, the one most spent on first.")

    class Config:
        strict = True
        description = "Customers by active day"


class ProductDay(pa.DataFrameModel):
    """A product's day with sales or cancellations, and its history up to the day's end. Key: stock_code and day_end."""

    stock_code: str = pa.Field(description="The product, in capitals.")
    day_end: Annotated[pl.Datetime, "us", "UTC"] = pa.Field(
        description="Midnight (UTC) after the day: from then on the row is known."
    )
    product_name: str = pa.Field(description="The most recent description of the product.")
    sold_lines: int = pa.Field(ge=0, description="Lines sold on the day.")
    sold_pieces: int = pa.Field(ge=0, description="Pieces sold on the day.")
    returned_pieces: int = pa.Field(ge=0, description="Pieces brought back on the day.")
    revenue: float = pa.Field(description="Pounds taken less pounds returned on the day.")
    mean_price: float = pa.Field(nullable=True, gt=0.0, description="Mean price of a piece sold, pounds; null where none was.")
    last_price: float = pa.Field(gt=0.0, description="Price of the day's last line, pounds.")
    buyers: pl.Int32 = pa.Field(ge=0, description="Known customers who bought it on the day.")
    revenue_total: float = pa.Field(description="Pounds taken so far, returns taken off.")
    sold_pieces_total: int = pa.Field(ge=0, description="Pieces sold so far.")
    days_on_sale: pl.Int32 = pa.Field(ge=0, description="Days between its first day in these data and this one.")

    class Config:
        strict = True
        description = "Products by day"
