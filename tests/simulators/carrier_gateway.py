"""The adapter for the carrier of :mod:`simulators.carrier`.

Not among the providers of the addon: a test or bench calls :func:`register`, in each
process that is to send. A server with it, for tests that need a real one::

    cd tests && python -m simulators.carrier_gateway --database=…
"""

import json
import os
import sys
from functools import lru_cache
from importlib import import_module

#: Mark of the references we make up for a message whose answer got lost.
KEY_PREFIX = "key:"
#: Seconds to connect and to wait for an answer: tests with time-outs have to be quick.
TIMEOUT = (1.0, 1.0)
#: Parallel connections kept open by one process.
POOL_SIZE = 256


def register(package="odoo.addons.member_messaging.gateways", **attributes):
    """Add ``carrier`` (100 messages a call) and ``carrier_single`` (one) to a registry.

    :param package: the addon's ``gateways``, named as in this process; its classes and
        values are others under another name
    :param attributes: class attributes of both, e.g. ``timeout=(1.0, 0.2)``
    :returns: class by code
    """
    carrier = type("Carrier", (_make_adapter(import_module(package)),), attributes)
    single = type(
        "CarrierSingle",
        (carrier,),
        {"code": "carrier_single", "name": "Carrier (single)", "batch_size": 1},
    )
    adapters = {cls.code: cls for cls in (carrier, single)}
    import_module(package).ADAPTERS.update(adapters)
    return adapters


def _make_adapter(gateways):
    base, errors, http, types = (
        import_module(f"{gateways.__name__}.{name}")
        for name in ("base", "errors", "http", "types")
    )
    Outcome, SendResult = types.Outcome, types.SendResult
    outcomes = {
        "accepted": Outcome.OK,
        "badnum": Outcome.BADNUM,
        "optout": Outcome.OPTOUT,
        "content": Outcome.CONTENT,
        "busy": Outcome.RETRY,
        "limit": Outcome.POSTPONE,
    }

    @lru_cache
    def client(_pid, timeout):
        # by process: a fork must not use its parent's connections
        return http.HttpClient(timeout, pool_size=POOL_SIZE)

    class CarrierGateway(base.Gateway):
        """``endpoint`` of the account is the carrier's address."""

        code = "carrier"
        name = "Carrier"
        capabilities = frozenset({types.Capability.REPORTS, types.Capability.WEBHOOK})
        batch_size = 100
        default_rate = 1000
        required_fields = ("endpoint",)
        timeout = TIMEOUT

        def __init__(self, config, http=None, **values):
            http = http or client(os.getpid(), tuple(self.timeout))
            super().__init__(config, http, **values)

        def _send(self, batch):
            return base.send_in_halves(batch, self._deliver)

        def _deliver(self, batch):
            try:
                answer = self._call(batch)
            except (errors.TransportError, errors.ConfigError) as error:
                outcome = base.TRANSPORT_OUTCOME[type(error)]
                return self._all(batch, outcome, provider_message=str(error))
            content = _object(answer.body)
            if answer.status != 200:
                return self._refused(batch, answer, content.get("error"))
            if not isinstance(content.get("results"), list):
                return self._all(batch, Outcome.AMBIGUOUS, provider_code="unreadable")
            return [self._result(entry) for entry in content["results"]]

        def _call(self, batch):
            messages = [{"key": m.key, "to": m.address, "text": m.body} for m in batch]
            url = f"{self.config.endpoint.rstrip('/')}/send"
            headers = {"Content-Type": "application/json"}
            body = json.dumps({"messages": messages}).encode()
            return self.http.request("POST", url, headers=headers, data=body)

        def _refused(self, batch, answer, error):
            values = {"provider_code": error or f"http.{answer.status}"}
            if answer.status == 429 or (answer.status >= 500 and error):
                values["retry_after"] = answer.retry_after()
                return self._all(batch, Outcome.RETRY, **values)
            if error == "content":
                alone = len(batch) == 1
                return self._all(batch, Outcome.CONTENT, **values) if alone else None
            # a proxy in between does not know what the carrier did
            return self._all(batch, Outcome.BUG if error else Outcome.AMBIGUOUS)

        def _all(self, batch, outcome, **values):
            lost = outcome is Outcome.AMBIGUOUS
            return [
                SendResult(
                    message.key,
                    outcome,
                    provider_ref=f"{KEY_PREFIX}{message.key}" if lost else None,
                    **values,
                )
                for message in batch
            ]

        def _result(self, entry):
            return SendResult(
                entry["key"],
                outcomes.get(entry["status"], Outcome.AMBIGUOUS),
                provider_ref=entry.get("ref"),
                provider_code=entry.get("code"),
            )

        def parse(self, request):
            reports = _object(request.body).get("reports")
            if not isinstance(reports, list):
                raise errors.PayloadError("no reports")
            return [
                types.DeliveryReport(
                    provider_ref=report["ref"],
                    alternative_ref=f"{KEY_PREFIX}{report['key']}",
                    address=report["to"],
                    status=report["status"],
                    event_ref=report["event"],
                )
                for report in reports
            ]

    return CarrierGateway


def _object(body):
    try:
        content = json.loads(body)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def main():
    from odoo.cli import server
    from odoo.modules.module import initialize_sys_path
    from odoo.tools import config

    config.parse_config(sys.argv[1:])
    initialize_sys_path()
    register()
    server.main(sys.argv[1:])


if __name__ == "__main__":
    main()
