"""Client of Twilio: the vendor's SDK, see test_gateways_sdk.py."""

import json
import sys
from datetime import datetime, timedelta, timezone
from urllib.parse import parse_qsl

from twilio.base.exceptions import TwilioRestException
from twilio.request_validator import RequestValidator
from twilio.rest import Client

order = json.load(sys.stdin)
account, options = order["api_key"], order["options"]
client = Client(
    options.get("key_sid", account),
    options.get("key_secret", order["api_secret"]),
    account_sid=account,
)
client.api.base_url = f"http://{order['endpoint']}"


def show(message):
    names = ("sid", "status", "to", "body", "error_code", "num_segments")
    return {name: getattr(message, name) for name in names}


def list_messages(**values):
    after = datetime.now(timezone.utc) - timedelta(minutes=1)
    return [
        show(message)
        for message in client.messages.list(date_sent_after=after, **values)
    ]


def validate(callbacks):
    """Tell which callbacks, given as address, body and signature, are genuine."""
    validator = RequestValidator(order["api_secret"])
    return [
        validator.validate(
            url,
            body if body[0] == "{" else dict(parse_qsl(body, keep_blank_values=True)),
            signature,
        )
        for url, body, signature in callbacks
    ]


calls = {
    "create": lambda **values: show(client.messages.create(**values)),
    "fetch": lambda sid: show(client.messages(sid).fetch()),
    "list": list_messages,
    "account": lambda: {"status": client.api.accounts(account).fetch().status},
    "validate": validate,
}
try:
    answer = calls[order["call"]](**order["arguments"])
except TwilioRestException as error:
    answer = {"error": str(error.code)}
json.dump(answer, sys.stdout)
