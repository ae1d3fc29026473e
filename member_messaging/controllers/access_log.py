"""Odoo writes each path that is called into its log; that of a callback is a secret."""

import logging
import re

SECRET = re.compile(r"(/member_messaging/callback/\d+/)[^\s?/]+")


def hide_secret(record):
    """A filter of the web server's log.

    :param logging.LogRecord record: the call is one of its arguments
    """
    if isinstance(record.args, tuple):
        record.args = tuple(
            SECRET.sub(r"\1***", value) if isinstance(value, str) else value
            for value in record.args
        )
    return True


logging.getLogger("werkzeug").addFilter(hide_secret)
