"""Exact division of integers: the parts always sum to the whole."""

from collections.abc import Sequence


def apportion(total: int, weights: Sequence[int]) -> list[int]:
    """Split a total in proportion to weights by the largest-remainder rule.

    total: any unit, >= 0. weights: >= 0, at least one above 0. Equal remainders favour the
    earlier part, so the same arguments always give the same parts.
    Raises ValueError: there is nobody to give anything to.
    """
    whole = sum(weights)
    if whole <= 0:
        raise ValueError("weights must have a positive sum")
    products = [total * weight for weight in weights]
    parts = [product // whole for product in products]
    missing = total - sum(parts)
    if missing:
        remainders = [product % whole for product in products]
        # A stable sort, and half as long for 250 parts as the heap of the `missing` largest.
        largest = sorted(range(len(parts)), key=remainders.__getitem__, reverse=True)
        for index in largest[:missing]:
            parts[index] += 1
    return parts
