"""Values a public form carries: whoever sends them back cannot have made them up."""

from odoo.tools import hash_sign, verify_hash_signed


def sign(env, scope, values, hours):
    """:returns: the values as text, good for so many hours"""
    return hash_sign(env(su=True), scope, values, expiration_hours=hours)


def read_signed(env, scope, text):
    """:returns: what :func:`sign` was given; None if it was not, or too long ago"""
    if not isinstance(text, str):
        # an uploaded file
        return None
    try:
        return verify_hash_signed(env(su=True), scope, text)
    except ValueError:
        return None
