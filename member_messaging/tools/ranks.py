"""States of a message and which event may raise which state.

Events arrive twice, late and in any order. The rule that makes this harmless: a state
only rises, and a final one stays.
"""

#: In the order a message goes through them; the last five are ends of the road.
STATES = (
    "queued",
    "claimed",
    "sent",
    "uncertain",
    "delivered",
    "failed",
    "skipped",
    "cancelled",
)
#: Nothing changes these any more.
FINAL_STATES = frozenset({"delivered", "failed", "skipped", "cancelled"})
#: Rows a sender is working on: reports wait until it has written its results.
OWNED_STATES = frozenset({"claimed"})

EVENTS = (
    "sent",
    "delivered",
    "failed",
    "opened",
    "clicked",
    "coupon_claimed",
    "redeemed",
    "replied",
    "unsubscribed",
    "complained",
    "shared",
)

#: State an event proves. Who opens a link or uses a coupon that stands in one message
#: only has got the message, even if no report ever came. A reply, a refusal and a
#: complaint are matched by address and prove nothing about a single message.
EVENT_STATE = {
    "sent": "sent",
    "delivered": "delivered",
    "failed": "failed",
    "opened": "delivered",
    "clicked": "delivered",
    "coupon_claimed": "delivered",
    "redeemed": "delivered",
    "shared": "delivered",
}

#: States an event with that proof may change. ``queued`` is among them because a
#: message thought unsent and queued again must not go out once the provider reports
#: it; a failure leaves it queued, the next attempt decides.
RAISES = {
    "sent": frozenset({"queued", "claimed", "uncertain"}),
    "delivered": frozenset({"queued", "claimed", "sent", "uncertain"}),
    "failed": frozenset({"claimed", "sent", "uncertain"}),
}


def next_state(current: str, event: str) -> str:
    """Return the state of a message in ``current`` after ``event``.

    For reports, leave rows in :data:`OWNED_STATES` alone and come back later.

    :raises ValueError: no such state or event
    """
    if current not in STATES or event not in EVENTS:
        raise ValueError(f"no such state or event: {current}, {event}")
    proven = EVENT_STATE.get(event)
    return proven if proven and current in RAISES[proven] else current
