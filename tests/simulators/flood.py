"""Many callbacks in a short time, as providers make them while a large campaign leaves.

Who calls does not wait for earlier answers: each call is due at a time of its own, and
what it takes is measured from then, so that a server that stands still is not spared.
"""

import http.client
import itertools
import random
import threading
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

from .twilio import DELIVERED, Message, write_report

#: Most calls under way at the same time. Odoo lets eight wait for each process
#: (``--workers``). What comes on top, TCP tries again; a server that then waits for the
#: request for two seconds only (ODOO_HTTP_SOCKET_TIMEOUT) may drop it.
CONNECTIONS = 32
#: Seconds.
TIMEOUT = 60
#: What members answer.
TEXTS = ("STOP", "thank you", "open on Sunday?")


@dataclass(frozen=True)
class Post:
    """A call that is going to be made. ``path`` begins behind the host."""

    path: str
    headers: dict
    body: bytes


@dataclass(frozen=True)
class Answer:
    """What a call came to: HTTP status, 0 if there was none, and seconds since it was
    due."""

    status: int
    seconds: float


def write_posts(simulator, url, sent, repeated, replies):
    """Return what Twilio posts about messages, in no order: one report of each, some of
    them twice, and replies.

    :param TwilioSimulator simulator: signs the calls
    :param str url: public address of the callback, which is signed; it may differ from
        the server's
    :param sent: pairs of number and Twilio's reference
    :param int repeated: number of reports that come twice
    :param int replies: number of members who answer
    :rtype: list[Post]
    """
    chance = random.Random(1)
    contents = [
        write_report(Message(number, "", reference, status=DELIVERED), "delivered")
        for number, reference in sent
    ]
    contents += chance.sample(contents, repeated)
    contents += simulator.write_replies(
        (number, chance.choice(TEXTS))
        for number, _reference in chance.sample(sent, replies)
    )
    chance.shuffle(contents)
    path = urlsplit(url).path
    return [Post(path, *simulator.write_push(url, content)) for content in contents]


def flood(server, posts, seconds, connections=CONNECTIONS):
    """Make all calls, evenly spread over so many seconds.

    Connections are kept as long as the server does; Odoo closes them.

    :param str server: ``http://host:port``
    :param list[Post] posts: in the order in which they are made
    :param int connections: calls that are under way at the same time, at most
    :returns: the answers, in the same order
    :rtype: list[Answer]
    """
    answers = [None] * len(posts)
    indexes = itertools.count()
    start = time.monotonic()

    def call_in_turn():
        connection = http.client.HTTPConnection(
            urlsplit(server).netloc, timeout=TIMEOUT
        )
        while (index := next(indexes)) < len(posts):
            due = start + index * seconds / len(posts)
            time.sleep(max(0, due - time.monotonic()))
            status = _post(connection, posts[index])
            answers[index] = Answer(status, time.monotonic() - due)
        connection.close()

    threads = [threading.Thread(target=call_in_turn) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def percentile(answers, share):
    """Return within how many seconds such a share of the calls was answered."""
    ordered = sorted(answer.seconds for answer in answers)
    return ordered[max(0, -(-len(ordered) * share // 100) - 1)]


def _post(connection, post):
    """Return the status of the answer; a call without one is not made again."""
    try:
        connection.request("POST", post.path, post.body, post.headers)
        response = connection.getresponse()
        response.read()
        return response.status
    except (OSError, http.client.HTTPException):
        connection.close()
        return 0
