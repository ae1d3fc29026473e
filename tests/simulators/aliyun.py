"""Alibaba Cloud SMS (Dysmsapi 2017-05-25) on this computer.

Checks V3 signatures, arguments and registered templates, in code of its own.
"""

import hashlib
import hmac
import json
import re
import uuid
from datetime import datetime, timedelta, timezone
from urllib.parse import parse_qsl

from .server import (
    DELIVERED,
    SHANGHAI,
    Message,
    Refusal,
    Simulator,
    fill_template,
    local_time,
)

KEY_ID, KEY_SECRET = "LTAIEXAMPLEKEYID", "exampleSecret123"
SIGNATURE = "云会员"
TEMPLATE = "SMS_123456789"
TEMPLATES = {TEMPLATE: "尊敬的${name},您的会员将于${days}天后到期。"}
VARIABLE = r"\$\{(\w+)\}"
MAX_NUMBERS = {"SendSms": 1000, "SendBatchSms": 100}
#: Headers every V3 request has to sign.
SIGNED = {
    "host",
    "x-acs-action",
    "x-acs-version",
    "x-acs-date",
    "x-acs-signature-nonce",
    "x-acs-content-sha256",
}


class AliyunSimulator(Simulator):
    """The service.

    ``keys`` maps access key ids to secrets, ``templates`` codes to texts with
    ``${variables}``.
    """

    name = "Alibaba Cloud SMS"
    account = {"api_key": KEY_ID, "api_secret": KEY_SECRET, "signature": SIGNATURE}
    default_rate = 5000
    push_retries = (60, 300, 600)
    push_timeout = 0.7

    def __init__(
        self,
        keys=None,
        signatures=(SIGNATURE,),
        templates=None,
        max_param_length=35,
        **values,
    ):
        super().__init__(**values)
        self.keys = dict(keys or {KEY_ID: KEY_SECRET})
        self.signatures = set(signatures)
        self.templates = dict(templates or TEMPLATES)
        self.max_param_length = max_param_length
        self.nonces: set[str] = set()

    def get_setup(self):
        return {
            "Provider": self.name,
            "Access Key": KEY_ID,
            "Access Secret": KEY_SECRET,
            "Endpoint": self.url,
            "Signature": SIGNATURE,
            "Registered Templates": f"{TEMPLATE}: {TEMPLATES[TEMPLATE]}",
        }

    # Calls -----------------------------------------------------------------------

    def get_name(self, call):
        return call.headers.get("x-acs-action", "")

    def answer(self, name, call):
        params = dict(parse_qsl(call.query, keep_blank_values=True))
        params.update(parse_qsl(call.body.decode(), keep_blank_values=True))
        actions = {
            "SendSms": self._send_sms,
            "SendBatchSms": self._send_batch_sms,
            "QuerySendDetails": self._query_send_details,
            "QuerySmsTemplateList": self._query_sms_template_list,
        }
        if name not in actions:
            raise Refusal("InvalidAction.NotFound", status=404)
        return {"Code": "OK", "RequestId": _request_id(), **actions[name](params)}

    def refuse(self, refusal):
        answer = {"Code": refusal.code, "Message": refusal.message}
        answer["RequestId"] = _request_id()
        if refusal.status >= 400:
            answer["HostId"] = self.endpoint
        return answer

    def throttle(self):
        headers = {"x-acs-retry-after": "1500"}
        return Refusal("Throttling.User", "Request was denied", 429, headers)

    # Signature -------------------------------------------------------------------

    def verify(self, call):
        match = re.fullmatch(
            r"ACS3-HMAC-SHA256 Credential=([^,]+),SignedHeaders=([^,]+),"
            r"Signature=([0-9a-f]{64})",
            call.headers.get("authorization", ""),
        )
        if not match:
            raise Refusal("MissingParameter.Authorization", status=400)
        key_id, names, signature = match.groups()
        if key_id not in self.keys:
            raise Refusal("InvalidAccessKeyId.NotFound", status=404)
        self._check_headers(call.headers, names.split(";"), call.body)
        expected = _hex_hmac(self.keys[key_id], _string_to_sign(call, names))
        if not hmac.compare_digest(expected, signature):
            raise Refusal("SignatureDoesNotMatch", status=400)
        self._check_nonce(call.headers["x-acs-signature-nonce"])

    def _check_headers(self, headers, names, body):
        needed = SIGNED | ({"content-type"} if body else set())
        if names != sorted(names) or not needed <= set(names) <= set(headers):
            raise Refusal("SignatureDoesNotMatch", "signed headers", 400)
        unsigned = {name for name in headers if name.startswith("x-acs-")} - set(names)
        if unsigned:
            raise Refusal("SignatureDoesNotMatch", f"not signed: {unsigned}", 400)
        if headers["x-acs-content-sha256"] != hashlib.sha256(body).hexdigest():
            raise Refusal("SignatureDoesNotMatch", "content hash", 400)
        if headers["x-acs-version"] != "2017-05-25":
            raise Refusal("InvalidVersion", status=400)
        sent = datetime.strptime(headers["x-acs-date"], "%Y-%m-%dT%H:%M:%SZ")
        age = datetime.now(timezone.utc) - sent.replace(tzinfo=timezone.utc)
        if abs(age) > timedelta(minutes=15):
            raise Refusal("InvalidTimeStamp.Expired", status=400)

    def _check_nonce(self, nonce):
        with self.lock:
            if nonce in self.nonces:
                raise Refusal("SignatureNonceUsed", status=400)
            self.nonces.add(nonce)

    # Sending ---------------------------------------------------------------------

    def _send_sms(self, params):
        phones = params.get("PhoneNumbers", "").split(",")
        texts = [_read_json(params.get("TemplateParam") or "{}")] * len(phones)
        signatures = [params.get("SignName", "")] * len(phones)
        return self._accept("SendSms", params, phones, signatures, texts)

    def _send_batch_sms(self, params):
        names = ("PhoneNumberJson", "SignNameJson", "TemplateParamJson")
        columns = [_array(params, name) for name in names]
        extend = "SmsUpExtendCodeJson" in params
        checked = (
            [*columns, _array(params, "SmsUpExtendCodeJson")] if extend else columns
        )
        if len({len(column) for column in checked}) != 1:
            raise Refusal("isv.INVALID_PARAMETERS", "arrays differ in length")
        return self._accept("SendBatchSms", params, *columns)

    def _accept(self, action, params, phones, signatures, texts):
        if not 0 < len(phones) <= MAX_NUMBERS[action]:
            raise Refusal("isv.MOBILE_COUNT_OVER_LIMIT")
        template = params.get("TemplateCode", "")
        out_id = params.get("OutId", "")
        if template not in self.templates:
            raise Refusal("isv.SMS_TEMPLATE_ILLEGAL")
        if len(out_id) > 255:
            raise Refusal("isv.INVALID_PARAMETERS", "OutId")
        numbers = [self._check_phone(phone) for phone in phones]
        for signature in signatures:
            if signature not in self.signatures:
                raise Refusal("isv.SMS_SIGNATURE_ILLEGAL")
        biz_id = f"{self.next_number():018d}^0"
        self.accept(
            [
                Message(
                    number,
                    f"【{signature}】{self._fill(template, text)}",
                    biz_id,
                    out_id,
                    template,
                    text,
                )
                for number, signature, text in zip(
                    numbers, signatures, texts, strict=True
                )
            ]
        )
        return {"Message": "OK", "BizId": biz_id}

    def _check_phone(self, phone):
        digits = re.sub(r"^(?:\+|00)?86(?=1\d{10}$)", "", str(phone))
        if not re.fullmatch(r"1[3-9]\d{9}|[2-9]\d{6,14}", digits):
            raise Refusal("isv.MOBILE_NUMBER_ILLEGAL")
        if digits in self.bad_phones:
            raise Refusal(*self.bad_phones[digits])
        return digits

    def _fill(self, template, params):
        if not isinstance(params, dict):
            raise Refusal("isv.INVALID_JSON_PARAM")
        if not all(isinstance(value, str) for value in params.values()):
            raise Refusal("isv.INVALID_JSON_PARAM")
        text = self.templates[template]
        names = re.findall(VARIABLE, text)
        if not set(names) <= set(params):
            raise Refusal("isv.TEMPLATE_MISSING_PARAMETERS")
        if not all(1 <= len(params[name]) <= self.max_param_length for name in names):
            raise Refusal("isv.PARAM_LENGTH_LIMIT")
        return fill_template(text, VARIABLE, params)

    # Questions and pushes --------------------------------------------------------

    def _query_sms_template_list(self, params):
        size, page = _page(params, "PageIndex")
        found = list(self.templates.items())[size * (page - 1) : size * page]
        return {
            "Message": "OK",
            "SmsTemplateList": [
                {
                    "TemplateCode": code,
                    "TemplateContent": text,
                    "AuditStatus": "AUDIT_STATE_PASS",
                }
                for code, text in found
            ],
        }

    def _query_send_details(self, params):
        size, page = _page(params, "CurrentPage")
        with self.lock:
            found = [
                m
                for m in self.messages
                if m.phone == params["PhoneNumber"]
                and m.sent.astimezone(SHANGHAI).strftime("%Y%m%d") == params["SendDate"]
                and params.get("BizId") in (None, m.reference)
            ]
        details = [_detail(m) for m in found[size * (page - 1) : size * page]]
        return {
            "Message": "OK",
            "TotalCount": len(found),
            "SmsSendDetailDTOs": {"SmsSendDetailDTO": details},
        }

    def write_reports(self, messages):
        return [_report(message) for message in messages]

    def write_replies(self, replies):
        return [
            [
                {
                    "phone_number": phone,
                    "content": text,
                    "send_time": local_time(datetime.now(timezone.utc)),
                    "dest_code": "10690000123",
                    "sequence_id": str(self.next_number()),
                }
                for phone, text in replies
            ]
        ]

    def is_acknowledged(self, status, body):
        # Only the status and the numeric code are looked at.
        code = json.loads(body).get("code")
        return status == 200 and type(code) is int and code == 0


# Protocol, in code of its own ----------------------------------------------------


def _request_id():
    return str(uuid.uuid4()).upper()


def _encode(text):
    plain = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~"
    return "".join(
        chr(byte) if byte in plain else f"%{byte:02X}" for byte in text.encode()
    )


def _string_to_sign(call, names):
    pairs = sorted(parse_qsl(call.query, keep_blank_values=True))
    query = "&".join(f"{_encode(name)}={_encode(value)}" for name, value in pairs)
    lines = [call.method, call.path, query]
    lines += [f"{name}:{call.headers[name].strip()}" for name in names.split(";")]
    lines += ["", names, hashlib.sha256(call.body).hexdigest()]
    canonical = "\n".join(lines)
    return f"ACS3-HMAC-SHA256\n{hashlib.sha256(canonical.encode()).hexdigest()}"


def _hex_hmac(secret, text):
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def _read_json(text, name="TemplateParam"):
    try:
        return json.loads(text)
    except ValueError:
        raise Refusal("isv.INVALID_JSON_PARAM", name) from None


def _array(params, name):
    if name not in params:
        raise Refusal(f"MissingParameter.{name}", status=400)
    values = _read_json(params[name], name)
    if not isinstance(values, list):
        raise Refusal("isv.INVALID_JSON_PARAM", name)
    return values


def _page(params, name):
    size, page = int(params["PageSize"]), int(params[name])
    if not 1 <= size <= 50 or page < 1:
        raise Refusal("isv.INVALID_PARAMETERS", "page")
    return size, page


def _detail(message):
    return {
        "Content": message.content,
        "ErrCode": message.receipt,
        "OutId": message.own_reference,
        "PhoneNum": message.phone,
        "ReceiveDate": local_time(message.received) if message.received else "",
        "SendDate": local_time(message.sent),
        "SendStatus": message.status,
        "TemplateCode": message.template,
    }


def _report(message):
    arrived = message.status == DELIVERED
    return {
        "phone_number": message.phone,
        "send_time": local_time(message.sent),
        "report_time": local_time(message.received),
        "success": arrived,
        "err_code": message.receipt,
        "err_msg": "用户接收成功" if arrived else message.receipt,
        "sms_size": str(message.parts),
        "biz_id": message.reference,
        "out_id": message.own_reference,
    }
