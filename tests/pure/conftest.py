"""Put the addon's plain-Python folders and the simulators on the path.

The addon itself cannot be imported without Odoo, its ``gateways`` and ``tools`` can.
"""

import sys
from pathlib import Path

TESTS = Path(__file__).parent.parent
ADDON = TESTS.parent / "member_messaging"

sys.path[:0] = [str(ADDON), str(TESTS), str(TESTS / "pure")]
