"""Tencent Cloud SMS (2021-01-11) on this computer.

Checks TC3 signatures, arguments and registered templates, in code of its own.
"""

import hashlib
import hmac
import json
import re
import time
import uuid
from datetime import datetime, timezone

from .server import (
    DELIVERED,
    UNDER_WAY,
    Message,
    Refusal,
    Simulator,
    fill_template,
    local_time,
)

SECRET_ID, SECRET_KEY = (
    "AKIDz8krbsJ5yKBZQpn74WFkmLPx3EXAMPLE",
    "Gu5t9xGARNpq86cd98joQYCN3EXAMPLE",
)
APP_ID = "1400006666"
SIGNATURE = "云会员"
TEMPLATE = "1110"
TEMPLATES = {TEMPLATE: "尊敬的{1},您的会员将于{2}天后到期。"}
VARIABLE = r"\{(\d+)\}"
MAX_NUMBERS = 200
PAGE = 100
#: Seconds a clock may be off.
MAX_SKEW = 300


class TencentSimulator(Simulator):
    """The service.

    ``keys`` maps secret ids to secret keys, ``templates`` numbers to texts with
    ``{1}``, ``{2}`` …; ``has_context`` is the feature that reports tell the
    SessionContext of their message, which the vendor switches on by request.
    """

    name = "Tencent Cloud SMS"
    account = {
        "api_key": SECRET_ID,
        "api_secret": SECRET_KEY,
        "signature": SIGNATURE,
        "options": {"app_id": APP_ID},
    }
    # The SDK takes no error for one that comes with a charset.
    content_type = "application/json"
    delivered = "DELIVRD"
    default_rate = 3000
    # The vendor pushes again twice and does not say when.
    push_retries = (60, 60)

    def __init__(
        self,
        keys=None,
        app_ids=(APP_ID,),
        signatures=(SIGNATURE,),
        templates=None,
        max_param_length=12,
        has_context=True,
        **values,
    ):
        super().__init__(**values)
        self.keys = dict(keys or {SECRET_ID: SECRET_KEY})
        self.app_ids = set(app_ids)
        self.signatures = set(signatures)
        self.templates = dict(templates or TEMPLATES)
        self.max_param_length = max_param_length
        self.has_context = has_context
        self.replies: list[dict] = []

    def get_setup(self):
        return {
            "Provider": self.name,
            "Access Key": SECRET_ID,
            "Access Secret": SECRET_KEY,
            "SdkAppId": APP_ID,
            "Endpoint": self.url,
            "Signature": SIGNATURE,
            "Registered Templates": f"{TEMPLATE}: {TEMPLATES[TEMPLATE]}",
        }

    def reset(self):
        super().reset()
        self.replies.clear()

    # Calls -----------------------------------------------------------------------

    def get_name(self, call):
        return call.headers.get("x-tc-action", "")

    def answer(self, name, call):
        content = json.loads(call.body)
        actions = {
            "SendSms": self._send_sms,
            "PullSmsSendStatus": self._pull_send_status,
            "PullSmsReplyStatus": self._pull_reply_status,
            "PullSmsSendStatusByPhoneNumber": self._pull_by_phone,
            "SendStatusStatistics": self._count,
        }
        if name not in actions:
            raise Refusal("InvalidAction")
        if content.get("SmsSdkAppId") not in self.app_ids:
            raise Refusal("UnauthorizedOperation.SmsSdkAppIdVerifyFail")
        return _response(**actions[name](content))

    def refuse(self, refusal):
        return _response(Error={"Code": refusal.code, "Message": refusal.message})

    def throttle(self):
        return Refusal("RequestLimitExceeded", "Your current request times equals too")

    # Signature -------------------------------------------------------------------

    def verify(self, call):
        match = re.fullmatch(
            r"TC3-HMAC-SHA256 Credential=([^/]+)/(\d{4}-\d\d-\d\d)/sms/tc3_request, "
            r"SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})",
            call.headers.get("authorization", ""),
        )
        if not match:
            raise Refusal("AuthFailure.InvalidAuthorization")
        secret_id, day, names, signature = match.groups()
        if secret_id not in self.keys:
            raise Refusal("AuthFailure.SecretIdNotFound")
        self._check_headers(call.headers, day, names.split(";"))
        expected = _sign(call, self.keys[secret_id], day, names)
        if not hmac.compare_digest(expected, signature):
            raise Refusal("AuthFailure.SignatureFailure")

    def _check_headers(self, headers, day, names):
        if not {"content-type", "host"} <= set(names) <= set(headers):
            raise Refusal("AuthFailure.SignatureFailure", "signed headers")
        if names != sorted(names):
            raise Refusal("AuthFailure.SignatureFailure", "order of headers")
        if headers.get("x-tc-version") != "2021-01-11":
            raise Refusal("NoSuchVersion")
        if not headers.get("x-tc-region"):
            raise Refusal("MissingParameter", "Region")
        timestamp = int(headers["x-tc-timestamp"])
        if abs(time.time() - timestamp) > MAX_SKEW:
            raise Refusal("AuthFailure.SignatureExpire")
        if f"{datetime.fromtimestamp(timestamp, timezone.utc):%Y-%m-%d}" != day:
            raise Refusal("AuthFailure.SignatureFailure", "date")

    # Sending ---------------------------------------------------------------------

    def _send_sms(self, content):
        phones = content.get("PhoneNumberSet") or []
        if not phones:
            raise Refusal("MissingParameter.EmptyPhoneNumberSet")
        if len(phones) > MAX_NUMBERS:
            raise Refusal("LimitExceeded.PhoneNumberCountLimit")
        if len({phone.startswith("+86") for phone in phones}) != 1:
            raise Refusal(
                "UnsupportedOperation.ContainDomesticAndInternationalPhoneNumber"
            )
        text = self._fill(content)
        if len(content.get("SessionContext", "").encode()) >= 512:
            raise Refusal("InvalidParameterValue.SessionContext")
        return {"SendStatusSet": [self._send(phone, text, content) for phone in phones]}

    def _fill(self, content):
        template = content.get("TemplateId")
        signature = content.get("SignName")
        params = content.get("TemplateParamSet") or []
        if template not in self.templates:
            raise Refusal("FailedOperation.TemplateIncorrectOrUnapproved")
        if signature not in self.signatures:
            raise Refusal("FailedOperation.SignatureIncorrectOrUnapproved")
        text = self.templates[template]
        if not all(isinstance(value, str) for value in params):
            raise Refusal("InvalidParameter", "TemplateParamSet")
        if len(set(re.findall(VARIABLE, text))) != len(params):
            raise Refusal("FailedOperation.TemplateParamSetNotMatchApprovedTemplate")
        if any("://" in value for value in params):
            raise Refusal("InvalidParameterValue.ProhibitedUseUrlInTemplateParameter")
        if any(len(value) > self.max_param_length for value in params):
            raise Refusal("InvalidParameterValue.TemplateParameterLengthLimit")
        values = {str(number): value for number, value in enumerate(params, 1)}
        return f"【{signature}】{fill_template(text, VARIABLE, values)}"

    def _send(self, phone, text, content):
        context = content.get("SessionContext", "")
        status = {
            "SerialNo": "",
            "PhoneNumber": phone,
            "Fee": 0,
            "SessionContext": context,
            "IsoCode": "CN" if phone.startswith("+86") else "DEF",
        }
        if not re.fullmatch(r"\+861[3-9]\d{9}|\+(?!86)[1-9]\d{6,14}", phone):
            code = "InvalidParameterValue.IncorrectPhoneNumber"
            return status | {"Code": code, "Message": "phone number"}
        if phone in self.bad_phones:
            code, message = self.bad_phones[phone]
            return status | {"Code": code, "Message": message or code}
        serial = f"5000:{self.next_number():020d}"
        params = content.get("TemplateParamSet") or []
        message = Message(phone, text, serial, context, content["TemplateId"], params)
        self.accept([message])
        values = {"Code": "Ok", "Message": "send success", "Fee": message.parts}
        return status | values | {"SerialNo": serial}

    # Questions and pushes --------------------------------------------------------

    def _count(self, content):
        if not content.get("BeginTime", "") <= content.get("EndTime", ""):
            raise Refusal("InvalidParameterValue.EndTimeVerifyFail")
        statistics = {
            "FeeCount": sum(message.parts for message in self.messages),
            "RequestCount": len(self.messages),
            "RequestSuccessCount": len(self.messages),
        }
        return {"SendStatusStatistics": statistics}

    def _pull_send_status(self, content):
        """Each report is told once."""
        limit = _limit(content)
        with self.lock:
            due = [
                message
                for message in self.messages
                if message.status != UNDER_WAY and not message.is_pulled
            ][:limit]
            for message in due:
                message.is_pulled = True
        return {"PullSmsSendStatusSet": [self._status(message) for message in due]}

    def _pull_by_phone(self, content):
        limit = _limit(content)
        if content.get("Offset") != 0:
            raise Refusal("InvalidParameterValue.OffsetVerifyFail")
        begin, end = content["BeginTime"], content.get("EndTime", time.time())
        with self.lock:
            found = [
                message
                for message in self.messages
                if message.phone == content["PhoneNumber"]
                and message.status != UNDER_WAY
                and begin <= message.sent.timestamp() <= end
            ][:limit]
        return {"PullSmsSendStatusSet": [self._status(message) for message in found]}

    def _pull_reply_status(self, content):
        """Each reply is told once."""
        limit = _limit(content)
        with self.lock:
            due, self.replies = self.replies[:limit], self.replies[limit:]
        return {
            "PullSmsReplyStatusSet": [
                {
                    "ExtendCode": reply["extend"],
                    "CountryCode": reply["nationcode"],
                    "SubscriberNumber": reply["mobile"],
                    "PhoneNumber": f"+{reply['nationcode']}{reply['mobile']}",
                    "SignName": reply["sign"],
                    "ReplyContent": reply["text"],
                    "ReplyTime": reply["time"],
                }
                for reply in due
            ]
        }

    def answer_members(self, replies):
        """Keep texts from members until they are pulled."""
        self.replies += self.write_replies(replies)

    def _status(self, message):
        return {
            "UserReceiveTime": int(message.received.timestamp()),
            "CountryCode": "86",
            "SubscriberNumber": message.phone.removeprefix("+86"),
            "PhoneNumber": message.phone,
            "SerialNo": message.reference,
            "ReportStatus": "SUCCESS" if message.status == DELIVERED else "FAIL",
            "Description": message.receipt,
            "SessionContext": message.own_reference if self.has_context else "",
        }

    def write_reports(self, messages):
        return [self._report(message) for message in messages]

    def _report(self, message):
        arrived = message.status == DELIVERED
        report = {
            "user_receive_time": local_time(message.received),
            "nationcode": "86",
            "mobile": message.phone.removeprefix("+86"),
            "report_status": "SUCCESS" if arrived else "FAIL",
            "errmsg": message.receipt,
            "description": "用户短信送达成功" if arrived else "用户短信送达失败",
            "sid": message.reference,
        }
        return report | ({"ext": message.own_reference} if self.has_context else {})

    def write_replies(self, replies):
        return [
            {
                "extend": "01",
                "mobile": phone.removeprefix("+86"),
                "nationcode": "86",
                "sign": SIGNATURE,
                "text": text,
                "time": int(time.time()),
            }
            for phone, text in replies
        ]

    def is_acknowledged(self, status, body):
        return status == 200 and json.loads(body).get("result") == 0


# Protocol, in code of its own ----------------------------------------------------


def _response(**values):
    return {"Response": {**values, "RequestId": str(uuid.uuid4())}}


def _limit(content):
    limit = content.get("Limit")
    if not isinstance(limit, int) or not 0 < limit <= PAGE:
        raise Refusal("InvalidParameterValue.LimitVerifyFail")
    return limit


def _sign(call, secret_key, day, names):
    lines = ["POST", call.path, call.query]
    lines += [
        f"{name}:{call.headers[name].strip().lower()}" for name in names.split(";")
    ]
    lines += ["", names, hashlib.sha256(call.body).hexdigest()]
    canonical = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    timestamp = call.headers["x-tc-timestamp"]
    text = f"TC3-HMAC-SHA256\n{timestamp}\n{day}/sms/tc3_request\n{canonical}"

    def chain(key, value):
        return hmac.new(key, value.encode(), hashlib.sha256).digest()

    key = chain(b"TC3" + secret_key.encode(), day)
    return chain(chain(chain(key, "sms"), "tc3_request"), text).hex()
