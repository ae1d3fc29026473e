"""The figures of the demonstration as plain text; everything is read from reports."""

from unicodedata import east_asian_width

MEASURES = (
    "planned_count:sum",
    "skipped_count:sum",
    "sent_count:sum",
    "delivery_rate:avg",
    "click_rate:avg",
    "redeemed_count:sum",
    "redemption_rate:avg",
    "revenue:sum",
    "cost:sum",
    "roi_rate:avg",
)


def describe_campaigns(env):
    """:returns: a line per campaign that was planned, and a total of sums and ratios"""
    report = env["member.message.report"]
    groups = report._read_group([], ["campaign_id"], MEASURES)
    [total] = report._read_group([], [], MEASURES)
    currency = env.company.currency_id.name
    header = (
        "Campaign",
        "Selected",
        "Reached",
        "Sent",
        "Delivered",
        "Clicked",
        "Redeemed",
        "of delivered",
        f"Revenue {currency}",
        f"Cost {currency}",
        "ROI",
    )
    rows = [
        (campaign.name, *_format_measures(*figures))
        for campaign, *figures in sorted(
            groups, key=lambda group: (group[0].scheduled_date, group[0].id)
        )
    ]
    return _draw(header, rows, ("Total", *_format_measures(*total)))


def _format_measures(
    planned, skipped, sent, delivered, clicked, redeemed, redemption, revenue, cost, roi
):
    return (
        f"{planned:,}",
        f"{planned - skipped:,}",
        f"{sent:,}",
        f"{delivered or 0:.1f} %",
        f"{clicked or 0:.1f} %",
        f"{redeemed:,}",
        f"{redemption or 0:.1f} %",
        f"{revenue:,.2f}",
        f"{cost:,.2f}",
        f"{roi or 0:,.0f} %",
    )


def describe_unreached(campaign):
    """:returns: a line per reason why members of a campaign were not reached"""
    messages = campaign.env["member.message"]
    labels = dict(messages._fields["reason"]._description_selection(campaign.env))
    groups = messages._read_group(
        [("campaign_id", "=", campaign.id), ("state", "=", "skipped")],
        ["reason"],
        ["__count"],
        order="__count desc",
    )
    return _draw(
        (f"Not reached by {campaign.name}", "Members"),
        [(labels[reason], f"{count:,}") for reason, count in groups],
        ("Total", f"{sum(count for _reason, count in groups):,}"),
    )


def describe_members(env, field):
    """:returns: members, orders and revenue by a field of the member"""
    profiles = env["member.profile"]
    measures = ("__count", "order_count:sum", "revenue:sum")
    description = profiles._fields[field]
    labels = dict(getattr(description, "_description_selection", lambda env: [])(env))
    groups = profiles._read_group([], [field], measures)
    if labels:
        order = {key: position for position, key in enumerate(labels)}
        groups.sort(key=lambda group: order.get(group[0], len(order)))
    [total] = profiles._read_group([], [], measures)

    def format_figures(count, orders, revenue):
        return (
            f"{count:,}",
            f"{100 * count / (total[0] or 1):.1f} %",
            f"{orders:,}",
            f"{orders / count if count else 0:.1f}",
            f"{revenue:,.2f}",
            f"{100 * revenue / (total[2] or 1):.1f} %",
        )

    return _draw(
        (
            description._description_string(env),
            "Members",
            "share",
            "Orders",
            "each",
            f"Revenue {env.company.currency_id.name}",
            "share",
        ),
        [
            (
                labels.get(key) or getattr(key, "display_name", key) or "–",
                *format_figures(*figures),
            )
            for key, *figures in groups
        ],
        ("Total", *format_figures(*total)),
    )


def _width(text):
    """Columns on a terminal: Chinese characters take two."""
    return sum(2 if east_asian_width(letter) in "WF" else 1 for letter in text)


def _draw(header, rows, total):
    """:returns: lines in columns, the first one aligned left, the others right"""
    lines = [header, *rows, total]
    widths = [max(map(_width, column)) for column in zip(*lines, strict=True)]
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))

    def draw_line(cells):
        first, *others = (
            " " * (width - _width(cell))
            for cell, width in zip(cells, widths, strict=True)
        )
        numbers = (
            f"  {pad}{cell}" for pad, cell in zip(others, cells[1:], strict=True)
        )
        return "".join([cells[0], first, *numbers])

    return "\n".join(
        [draw_line(header), rule, *map(draw_line, rows), rule, draw_line(total)]
    )
