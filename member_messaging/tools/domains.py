"""Reading domains in Polish notation, as lists of operators and conditions."""

OPERANDS = {"&": 2, "|": 2, "!": 1}


def get_required(domain):
    """Return the conditions every row of a domain must meet.

    What stands below an “or” or a “not” is left out.

    :param list domain: explicit Polish notation: ``&`` is written
    :returns: conditions ``(field, operator, value)``
    :rtype: list[tuple]

    >>> get_required(["&", ("a", "=", 1), "|", ("b", "=", 2), ("c", "=", 3)])
    [('a', '=', 1)]
    """
    required = []
    skipped = 0
    for token in domain:
        if skipped:
            # An operator takes the place of one operand and asks for its own.
            skipped += OPERANDS.get(token, 0) - 1 if isinstance(token, str) else -1
        elif token == "|":
            skipped = 2
        elif token == "!":
            skipped = 1
        elif token != "&":
            required.append(tuple(token))
    return required


def get_required_ids(domain, field):
    """Return the ids a many2one must have in every row of a domain.

    :param list domain: as in :func:`get_required`
    :param str field: name of the many2one
    :returns: ids, or None if the domain does not say
    :rtype: list[int] | None

    >>> get_required_ids([("partner_id", "=", 7)], "partner_id")
    [7]
    >>> get_required_ids(["!", ("partner_id", "=", 7)], "partner_id")
    """
    for name, operator, value in get_required(domain):
        if name != field or operator not in ("=", "in"):
            continue
        values = [value] if operator == "=" else list(value)
        if all(type(value) is int for value in values):
            return values
    return None
