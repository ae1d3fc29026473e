"""Client of Infobip: the vendor's SDK, see test_gateways_sdk.py."""

import json
import sys

from infobip_api_client import ApiClient, Configuration, SmsApi
from infobip_api_client.exceptions import ApiException
from infobip_api_client.models import SmsRequest

order = json.load(sys.stdin)
configuration = Configuration(
    host=f"http://{order['endpoint']}", api_key=order["api_key"]
)
with ApiClient(configuration) as client:
    api = SmsApi(client)
    try:
        if order["call"] == "send":
            answer = api.send_sms_messages(SmsRequest.from_dict(order["arguments"]))
        else:
            answer = api.get_outbound_sms_message_logs(**order["arguments"])
        answer = answer.to_dict()
    except ApiException as error:
        answer = {"error": str(error.status)}
json.dump(answer, sys.stdout, default=str)
