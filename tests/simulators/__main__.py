"""Run a simulated provider: what ``scripts/simulator`` calls."""

import argparse
import contextlib
import time

from .aliyun import AliyunSimulator
from .infobip import InfobipSimulator
from .tencent import TencentSimulator
from .twilio import TwilioSimulator

SIMULATORS = {
    "aliyun": AliyunSimulator,
    "infobip": InfobipSimulator,
    "tencent": TencentSimulator,
    "twilio": TwilioSimulator,
}


def show(message):
    print(f"{message.phone}  {message.content}", flush=True)


def introduce(simulator):
    """Tell how to enter the account into the form of a gateway."""
    print(f"{simulator.name} listens at {simulator.url}. Enter into the gateway's form")
    print("(Endpoint shows in developer mode):\n")
    for label, value in simulator.get_setup().items():
        print(f"  {label:22}{value}")
    print(
        "\nReports and replies come when you say so; reports also with --callback:\n\n"
        f"  curl {simulator.url}/simulator/reports -d"
        ' \'{"url": "<Callback Address>"}\'\n'
        f"  curl {simulator.url}/simulator/replies -d"
        ' \'{"url": "<Callback Address>", "replies": [["<number>", "TD"]]}\'\n\n'
        "Accepted messages:",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser(prog="scripts/simulator", description=__doc__)
    parser.add_argument("name", choices=SIMULATORS, metavar="|".join(SIMULATORS))
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8070)
    parser.add_argument("--rate", type=int, help="calls it takes in a second")
    parser.add_argument(
        "--callback", metavar="URL", help="callback address; post reports every second"
    )
    args = parser.parse_args()
    simulator = SIMULATORS[args.name](
        host=args.host, port=args.port, rate=args.rate, show=show
    )
    with simulator, contextlib.suppress(KeyboardInterrupt):
        introduce(simulator)
        while True:
            time.sleep(1)
            if args.callback:
                simulator.push_reports(args.callback)


if __name__ == "__main__":
    main()
