"""Online retail: from the shop's daily CSV files to features of its customers and products."""

from datetime import timedelta

import polars as pl
from feast import Entity, FeatureService, FeatureView, Field, ValueType
from feast.types import Array, Bool, Float32, Float64, Int32, Int64, String, UnixTimestamp

import featurestore as fs
from schemas.retail import CustomerDay, OrderLine, ProductDay, RawOrderLine

raw_orders = fs.CsvSource(name="raw_orders", path="data/raw/*.csv", contract=RawOrderLine)


@fs.table(contract=OrderLine, key=["invoice_no", "line"], timestamp_field="invoiced_at", max_quarantined=0.05)
def order_lines(raw_orders: pl.LazyFrame) -> pl.LazyFrame:
    """Sold and cancelled lines. Guests stay, without a customer; cancellations stay, with their negative quantities."""
    clean = fs.cleaning
    names = {
        "InvoiceNo": "invoice_no",
        "StockCode": "stock_code",
        "Description": "description",
        "Quantity": "quantity",
        "InvoiceDate": "invoiced_at",
        "UnitPrice": "unit_price",
        "CustomerID": "customer_id",
        "Country": "country",
    }
    is_cancellation = pl.col("invoice_no").str.starts_with("C")
    return (
        raw_orders.pipe(clean.rename, names)
        .pipe(clean.strip_text, "invoice_no", "stock_code", "description", "country")
        .pipe(clean.uppercase, "stock_code")
        .pipe(clean.to_integer, "quantity", "customer_id")
        .pipe(clean.to_float, "unit_price")
        .pipe(clean.to_timestamp, "invoiced_at", format="%Y-%m-%d %H:%M:%S", zone="Europe/London")
        .pipe(clean.flag, "is_cancellation", is_cancellation)
        .pipe(clean.drop_rows, "bad_debt_adjustment", pl.col("invoice_no").str.starts_with("A"))
        .pipe(clean.drop_rows, "stock_adjustment", (pl.col("quantity") <= 0) & ~is_cancellation)
        .pipe(clean.row_number, "line", within=["invoice_no"])
    )


# Money is added up as decimals: the sum of doubles would depend on the order in which they are added, and so on the machine.


@fs.sql_table(contract=CustomerDay, key=["customer_id", "day_end"], timestamp_field="day_end")
def customer_days(order_lines: str) -> str:
    """What each known customer did on a day, and up to it. A row's event time is the day's end, when it is complete."""
    return """
        with lines as (
            select *, cast(unit_price as decimal(18, 3)) * quantity as amount,
                date_trunc('day', invoiced_at at time zone 'UTC') + interval 1 day as day
            from order_lines
            where customer_id is not null
        ),
        codes as (
            select customer_id, day, list(stock_code order by spent desc, stock_code)[1:5] as top_codes
            from (select customer_id, day, stock_code, sum(amount) as spent from lines group by all)
            group by all
        ),
        days as (
            select customer_id, day,
                count(distinct invoice_no) filter (not is_cancellation) as day_orders,
                count(distinct invoice_no) filter (is_cancellation) as day_cancellations,
                count(*) as day_lines,
                count(*) filter (is_cancellation) as cancelled_lines,
                sum(quantity) as day_pieces,
                sum(amount) as spent,
                sum(cast(unit_price as decimal(18, 3))) filter (not is_cancellation) as prices,
                last(country order by invoiced_at, invoice_no, line) as country,
                max(invoiced_at) as last_invoice_at
            from lines
            group by all
        ),
        history as (
            select *,
                sum(day_orders) over so_far as orders_total,
                sum(day_lines) over so_far as lines_total,
                sum(cancelled_lines) over so_far as cancelled_total,
                sum(spent) over so_far as spent_total,
                row_number() over so_far as active_days,
                date_diff('day', min(day) over so_far, day) as days_since_first,
                date_diff('day', lag(day) over (partition by customer_id order by day), day) as days_since_previous
            from days
            window so_far as (partition by customer_id order by day rows unbounded preceding)
        )
        select customer_id, day at time zone 'UTC' as day_end,
            day_orders, day_cancellations, day_lines,
            cast(day_pieces as bigint) as day_pieces,
            cast(spent as double) as day_spend,
            cast(prices as double) / (day_lines - cancelled_lines) as day_mean_price,
            cast(orders_total as bigint) as orders_total,
            cast(lines_total as integer) as lines_total,
            cast(spent_total as double) as spend_total,
            cast(cast(spent_total as double) / nullif(orders_total, 0) as float) as mean_basket,
            cast(cast(cancelled_total as double) / lines_total as float) as cancelled_share,
            cast(active_days as integer) as active_days,
            cast(days_since_first as integer) as days_since_first,
            cast(days_since_previous as integer) as days_since_previous,
            active_days > 1 as is_returning,
            country, last_invoice_at, top_codes
        from history join codes using (customer_id, day)
        order by day_end, customer_id
    """


@fs.sql_table(contract=ProductDay, key=["stock_code", "day_end"], timestamp_field="day_end")
def product_days(order_lines: str) -> str:
    """How each product sold on a day, and up to it. Of several descriptions the most recent one counts."""
    return """
        with lines as (
            select *, cast(unit_price as decimal(18, 3)) * quantity as amount,
                date_trunc('day', invoiced_at at time zone 'UTC') + interval 1 day as day
            from order_lines
        ),
        days as (
            select stock_code, day,
                last(description order by invoiced_at, invoice_no, line) as product_name,
                last(unit_price order by invoiced_at, invoice_no, line) as last_price,
                count(*) filter (not is_cancellation) as sold_lines,
                coalesce(sum(quantity) filter (not is_cancellation), 0) as sold_pieces,
                coalesce(-sum(quantity) filter (is_cancellation), 0) as returned_pieces,
                sum(amount) as taken,
                sum(amount) filter (not is_cancellation) as taken_for_sales,
                count(distinct customer_id) filter (not is_cancellation) as buyers
            from lines
            group by all
        ),
        history as (
            select *,
                sum(taken) over so_far as taken_total,
                sum(sold_pieces) over so_far as pieces_total,
                date_diff('day', min(day) over so_far, day) as days_on_sale
            from days
            window so_far as (partition by stock_code order by day rows unbounded preceding)
        )
        select stock_code, day at time zone 'UTC' as day_end, product_name, sold_lines,
            cast(sold_pieces as bigint) as sold_pieces,
            cast(returned_pieces as bigint) as returned_pieces,
            cast(taken as double) as revenue,
            cast(taken_for_sales as double) / nullif(sold_pieces, 0) as mean_price,
            last_price,
            cast(buyers as integer) as buyers,
            cast(taken_total as double) as revenue_total,
            cast(pieces_total as bigint) as sold_pieces_total,
            cast(days_on_sale as integer) as days_on_sale
        from history
        order by day_end, stock_code
    """


customer = Entity(
    name="customer", join_keys=["customer_id"], value_type=ValueType.INT64, description="A registered customer of the shop."
)
product = Entity(name="product", join_keys=["stock_code"], value_type=ValueType.STRING, description="A stock code, in capitals.")

customer_day = FeatureView(
    name="customer_day",
    entities=[customer],
    source=customer_days.source,
    ttl=timedelta(days=90),
    schema=[
        Field(name="day_orders", dtype=Int64),
        Field(name="day_cancellations", dtype=Int64),
        Field(name="day_lines", dtype=Int64),
        Field(name="day_pieces", dtype=Int64),
        Field(name="day_spend", dtype=Float64),
        Field(name="day_mean_price", dtype=Float64),
    ],
    description="The customer's last active day, if it is no more than 90 days ago.",
)

customer_profile = FeatureView(
    name="customer_profile",
    entities=[customer],
    source=customer_days.source,
    ttl=timedelta(days=365),
    schema=[
        Field(name="orders_total", dtype=Int64),
        Field(name="lines_total", dtype=Int32),
        Field(name="spend_total", dtype=Float64),
        Field(name="mean_basket", dtype=Float32),
        Field(name="cancelled_share", dtype=Float32),
        Field(name="active_days", dtype=Int32),
        Field(name="days_since_first", dtype=Int32),
        Field(name="days_since_previous", dtype=Int32),
        Field(name="is_returning", dtype=Bool),
        Field(name="country", dtype=String),
        Field(name="last_invoice_at", dtype=UnixTimestamp),
        Field(name="top_codes", dtype=Array(String)),
    ],
    description="The customer's history up to the last active day.",
)

# Without a schema a view has all columns of its table as features, the key and the event time apart.
product_day = FeatureView(
    name="product_day",
    entities=[product],
    source=product_days.source,
    ttl=timedelta(days=30),
    description="The product's last day with sales or cancellations, if it is no more than 30 days ago.",
)

repurchase_v1 = FeatureService(
    name="repurchase_v1",
    features=[customer_day, customer_profile],
    description="What the model needs that tells whether a customer buys again within 30 days.",
)
product_v1 = FeatureService(name="product_v1", features=[product_day], description="A product as a shop window shows it.")
