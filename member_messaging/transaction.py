"""Short transactions of their own, for work that several servers do at once."""

from odoo.service.model import PG_CONCURRENCY_EXCEPTIONS_TO_RETRY

#: A transaction of milliseconds that lost so often is in trouble of another kind.
TRIES = 20


def commit_short(env, work, *args):
    """Run work that takes milliseconds and commit it; who loses tries again at once.

    Odoo's own ``retrying`` waits up to seconds before it tries again, which suits a
    request; a sender would stand still. The work must be safe to repeat.

    :returns: what the work returns
    :raises psycopg2.OperationalError: it was in somebody's way ``TRIES`` times, or the
        database is gone
    """
    for left in reversed(range(TRIES)):
        try:
            result = work(*args)
            env.flush_all()
            # the point of a transaction of its own
            env.cr.commit()  # pylint: disable=invalid-commit
            break
        except PG_CONCURRENCY_EXCEPTIONS_TO_RETRY:
            if not left:
                raise
            env.cr.rollback()
            env.transaction.reset()
    return result
